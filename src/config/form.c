/* form.c: texts that must have a form of their own: MAC addresses, interface names, regular
 * expressions. */
#include <ctype.h>
#include <errno.h>
#include <net/if.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "loader.h"

/* ---- MAC addresses --------------------------------------------------------------------------- */

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Six pairs of hex digits, ':' between them. */
static bool mac_parse(const char *text, uint8_t mac[6])
{
	for (unsigned i = 0; i < 6; i++, text += 3) {
		int high = hex_digit((char)tolower((unsigned char)text[0]));
		int low = high < 0 ? -1 : hex_digit((char)tolower((unsigned char)text[1]));

		if (low < 0 || text[2] != (i < 5 ? ':' : 0))
			return false;
		mac[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

int config_mac(const char *text, uint8_t mac[6], const char **why)
{
	static const uint8_t zero[6];
	uint8_t got[6];

	if (!mac_parse(text, got))
		*why = "a MAC address is six pairs of hex digits, as in 52:54:00:12:34:56";
	else if (!memcmp(got, zero, sizeof(zero)))
		*why = "the zero address belongs to nobody";
	else if (got[0] & 1) /* IEEE 802, 8.2.2: the I/G bit */
		*why = "that is a multicast address; a device's own has an even first pair";
	else
		return memcpy(mac, got, sizeof(got)), 0;
	return -EINVAL;
}

/* Lower case: one spelling for one address. */
static bool check_mac(struct config *config, const char *label, struct node *node)
{
	const char *why = NULL;
	uint8_t mac[6];

	if (!config_mac(node->text, mac, &why)) {
		node->canon = arena_printf(&config->arena, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0],
					   mac[1], mac[2], mac[3], mac[4], mac[5]);
		return node->canon != NULL;
	}
	diag_error(config->diags, node->mark, "'%s' for %s: %s", config_shown(config, node->text),
		   label, why);
	if (mac_parse(node->text, mac) && (mac[0] & 1))
		diag_help(config->diags, "%02x:%02x:%02x:%02x:%02x:%02x would do",
			  (mac[0] & 0xfeu) | 2, mac[1], mac[2], mac[3], mac[4], mac[5]);
	return false;
}

/* ---- Interface names ------------------------------------------------------------------------- */

/* What Linux refuses (net/core/dev.c, dev_valid_name), and '%', which it would replace by a number.
 */
static const char *ifname_fault(const char *name)
{
	if (!*name)
		return "it is empty";
	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return "no interface may be called that";
	for (; *name; name++) {
		if (isspace((unsigned char)*name))
			return "an interface's name has no blanks";
		if (strchr("/:%", *name))
			return "an interface's name has no '/', ':' or '%'";
	}
	return NULL;
}

static bool check_ifname(struct config *config, const char *label, struct node *node)
{
	const char *fault = ifname_fault(node->text);

	if (!fault && node->len < IFNAMSIZ) {
		node->canon = node->text;
		return true;
	}
	if (fault) {
		diag_error(config->diags, node->mark, "'%s' for %s: %s",
			   config_shown(config, node->text), label, fault);
	} else {
		diag_error(config->diags, node->mark,
			   "%s is %zu bytes long; the host's interfaces have names of at most %d",
			   label, node->len, IFNAMSIZ - 1);
		diag_help(config->diags, "`ip link` lists the interfaces of this host");
	}
	return false;
}

/* ---- Regular expressions --------------------------------------------------------------------- */

#define REGEX_MAX_LENGTH  1024
#define REGEX_MAX_REPEATS 1000

/* How many copies of something the repetitions may make. regcomp(3) unrolls x{n}, and (x)+ into
 * (x)(x)*; nested, a few bytes of pattern would be gigabytes of automaton. An estimate on the safe
 * side: it takes all of them as nested. */
static uint64_t regex_repeats(const char *p)
{
	uint64_t product = 1;

	for (; *p && product <= REGEX_MAX_REPEATS; p++) {
		if (*p == '\\' && p[1]) {
			p++;
		} else if (p[0] == ')' && p[1] == '+') {
			product *= 2;
		} else if (p[0] == '{' && isdigit((unsigned char)p[1])) {
			unsigned long low, high;
			char *end;

			low = strtoul(p + 1, &end, 10);
			high = *end == ',' && isdigit((unsigned char)end[1])
				       ? strtoul(end + 1, NULL, 10)
				       : low + (*end == ',');
			low = low > high ? low : high;
			product *= low > REGEX_MAX_REPEATS ? REGEX_MAX_REPEATS + 1 : low ? low : 1;
		}
	}
	return product;
}

/* The end of the bracket expression that begins at `p`, or of the text; in *foreign a \d, \s or \w
 * in it, which means a backslash or this letter there. */
static const char *regex_bracket(const char *p, const char **foreign)
{
	p += 1 + (p[1] == '^');
	for (const char *first = p; *p && (*p != ']' || p == first); p++) {
		if (p[0] == '[' && p[1] && strchr(":.=", p[1])) {
			const char end[] = { p[1], ']', 0 }, *close = strstr(p + 2, end);

			p = close ? close + 1 : p;
		} else if (p[0] == '\\' && p[1] && strchr("dDsSwW", p[1])) {
			*foreign = p;
		}
	}
	return *p ? p : p - 1;
}

/* What Perl and its kin understand: here a letter with a backslash is this letter, and so `\d+` is
 * met by any line that has a d in it. glibc knows a few of them. */
static const char *regex_foreign(const char *p)
{
	const char *foreign = NULL;

	for (; *p && !foreign; p++) {
		if (*p == '[') {
			p = regex_bracket(p, &foreign);
		} else if (*p == '\\' && p[1]) {
			if (isalpha((unsigned char)p[1]) && !strchr("wWsSbB", p[1]))
				foreign = p;
			p++;
		}
	}
	return foreign;
}

static bool check_regex(struct config *config, const char *label, struct node *node)
{
	char why[128];
	const char *foreign;
	regex_t regex;
	int error;

	if (node->len > REGEX_MAX_LENGTH) {
		diag_error(config->diags, node->mark, "%s is %zu bytes long; it takes at most %d",
			   label, node->len, REGEX_MAX_LENGTH);
		return false;
	}
	if (regex_repeats(node->text) > REGEX_MAX_REPEATS) {
		diag_error(config->diags, node->mark,
			   "'%s' for %s: its repetitions make more than %d copies",
			   config_shown(config, node->text), label, REGEX_MAX_REPEATS);
		diag_help(config->diags, "`*` repeats without a copy");
		return false;
	}
	error = regcomp(&regex, node->text, REG_EXTENDED | REG_NOSUB);
	if (error) {
		regerror(error, &regex, why, sizeof(why));
		diag_error(config->diags, node->mark, "'%s' for %s is no regular expression: %s",
			   config_shown(config, node->text), label, why);
		diag_help(config->diags,
			  "it is a POSIX extended one, see regex(7); in YAML, single "
			  "quotes keep backslashes as they are");
		return false;
	}
	regfree(&regex);
	foreign = regex_foreign(node->text);
	if (foreign) {
		diag_error(config->diags, node->mark,
			   "'%s' for %s: a POSIX extended regular expression has no '%.2s' here",
			   config_shown(config, node->text), label, foreign);
		diag_help(config->diags,
			  "write [0-9] for \\d and [[:space:]] for \\s; a character that is meant "
			  "as such needs no backslash, but for .[](){}*+?|^$\\");
		return false;
	}
	node->canon = node->text;
	return true;
}

static bool check_uuid(struct config *config, const char *label, struct node *node)
{
	static const char shape[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	bool good = node->len == sizeof(shape) - 1;

	for (size_t i = 0; good && i < node->len; i++)
		good = shape[i] == 'x' ? isxdigit((unsigned char)node->text[i])
				       : node->text[i] == '-';
	if (!good) {
		diag_error(config->diags, node->mark, "%s '%s' is not a UUID", label,
			   config_shown(config, node->text));
		diag_help(config->diags, "32 hexadecimal digits as %s; `uuidgen` makes one", shape);
		return false;
	}
	node->canon = node->text;
	return true;
}

/* ---- Ends of a VM ---------------------------------------------------------------------------- */

const char *const config_exit_words[] = { "poweroff", "reset", "panic", "crash", NULL };

static bool check_exit(struct config *config, const char *label, struct node *node)
{
	uint64_t status;
	const char *why, *near;
	char *number;

	if (!config_number(OPTION_UINT, node->text, &status, &why) && status <= 63) {
		number = arena_printf(&config->arena, "%u", (unsigned)status);
		node->canon = number;
		return number;
	}
	for (size_t i = 0; config_exit_words[i]; i++) {
		if (!strcmp(node->text, config_exit_words[i])) {
			node->canon = node->text;
			return true;
		}
	}
	near = config_nearest(node->text, config_exit_words);
	diag_error(config->diags, node->mark, "%s is no end of a VM: '%s'%s%s%s", label,
		   config_shown(config, node->text), CONFIG_DID_YOU_MEAN(near));
	diag_help(config->diags,
		  "write the guest's status, from 0 to 63, where 0 is powering off, too; or one of "
		  "%s",
		  config_word_list(config, config_exit_words));
	return false;
}

/* ---- PCI functions --------------------------------------------------------------------------- */

/* As Linux names them, in lower case: one spelling for one function. */
static bool check_pci(struct config *config, const char *label, struct node *node)
{
	unsigned domain = 0, bus, device, function;
	char text[24] = "";
	bool whole, good;

	whole = sscanf(node->text, "%8x:%2x:%2x.%1x", &domain, &bus, &device, &function) == 4;
	if (!whole)
		domain = 0;
	good = whole || sscanf(node->text, "%2x:%2x.%1x", &bus, &device, &function) == 3;
	if (good)
		snprintf(text, sizeof(text), "%04x:%02x:%02x.%x", domain, bus, device, function);
	/* Widths, signs, and what comes behind. */
	if (!good || strcasecmp(node->text, whole ? text : text + strlen("0000:")) != 0) {
		diag_error(config->diags, node->mark, "'%s' for %s is no PCI function",
			   config_shown(config, node->text), label);
		diag_help(config->diags, "it is DOMAIN:BUS:DEVICE.FUNCTION, such as 0000:01:00.0; "
					 "`lspci -D` lists those of this host");
		return false;
	}
	if (device > 31 || function > 7) { /* PCI 3.0, 3.2.2.3.2 */
		diag_error(config->diags, node->mark,
			   "'%s' for %s: there are devices 00 to 1f and functions 0 to 7",
			   config_shown(config, node->text), label);
		return false;
	}
	node->canon = arena_printf(&config->arena, "%s", text);
	return node->canon != NULL;
}

bool form_check(struct config *config, const struct config_type *type, const struct option *option,
		struct node *node)
{
	const char *label = option_label(config, type, option->key);

	switch (option->text) {
	case TEXT_MAC:
		return check_mac(config, label, node);
	case TEXT_IFNAME:
		return check_ifname(config, label, node);
	case TEXT_REGEX:
		return check_regex(config, label, node);
	case TEXT_EXIT:
		return check_exit(config, label, node);
	case TEXT_UUID:
		return check_uuid(config, label, node);
	case TEXT_PCI:
		return check_pci(config, label, node);
	case TEXT_BACKEND: /* value.c */
	case TEXT_ANY:
		break;
	}
	node->canon = node->text;
	return true;
}
