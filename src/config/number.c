/* number.c: numbers, sizes, addresses and times, read strictly.
 *
 * What two readers could take for two values is refused: a leading 0 (octal or not), MB (10^6 or
 * 2^20), signs, fractions. So a number means here what it seems to.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <vibevmm/bytes.h>

#include "loader.h"

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S  UINT64_C(1000000000)

static const struct unit {
	const char *name;
	uint64_t factor;
} size_units[] = {
	{ "K", 1ULL << 10 },   { "M", 1ULL << 20 },   { "G", 1ULL << 30 },   { "T", 1ULL << 40 },
	{ "KiB", 1ULL << 10 }, { "MiB", 1ULL << 20 }, { "GiB", 1ULL << 30 }, { "TiB", 1ULL << 40 },
}, time_units[] = {
	{ "ms", NS_PER_MS },
	{ "s", NS_PER_S },
	{ "m", 60 * NS_PER_S },
};

static bool is_size(enum option_kind kind)
{
	return kind == OPTION_SIZE || kind == OPTION_ADDR;
}

/* The factor of a unit of that kind, or 0. */
static uint64_t factor_of(enum option_kind kind, const char *name)
{
	bool size = is_size(kind);
	const struct unit *units = size ? size_units : time_units;
	size_t n = size			     ? ARRAY_SIZE(size_units)
		   : kind == OPTION_DURATION ? ARRAY_SIZE(time_units)
					     : 0;

	for (size_t i = 0; i < n; i++) {
		if (!strcmp(name, units[i].name))
			return units[i].factor;
	}
	return 0;
}

static const char *why_no_digits(enum option_kind kind, const char *text)
{
	if (!*text)
		return "a number is missing: write one";
	if (*text == '-' || *text == '+')
		return "a number has no sign here: write the digits alone";
	if (isblank((unsigned char)*text))
		return "a blank before the number: write the digits alone";
	switch (kind) {
	case OPTION_IRQ:
		return "this is not a line: write its number, or none";
	case OPTION_SIZE:
		return "this is not a size: write digits and a unit, such as 64K or 512M";
	case OPTION_ADDR:
		return "this is not an address: write it in hex, such as 0x1000";
	case OPTION_DURATION:
		return "this is not a time: write digits and a unit, such as 500ms or 20s";
	default:
		return "this is not a number: write decimal digits, or hex ones behind 0x";
	}
}

/* Why what follows the digits is no unit of that kind. */
static const char *why_no_unit(enum option_kind kind, const char *rest, bool hex)
{
	if (*rest == '.')
		return "fractions are not read: use the next smaller unit, as in 1536M for 1.5G";
	if (strchr(rest, '#'))
		return "a comment needs a blank before its '#': separate it from the number";
	if (*rest == '_')
		return "a '_' stands between two digits only: take it out";
	if (*rest == ',')
		return "a ',' can't separate digits: use '_', as in 1_000";
	if (isblank((unsigned char)*rest))
		return "a blank inside or behind the number: write number and unit together";
	if (!hex && (*rest == 'e' || *rest == 'E') && isdigit((unsigned char)rest[1]))
		return "powers of ten are not read: write the digits, or a unit";
	if (kind == OPTION_DURATION)
		return *rest ? "this is not a unit of time: write ms, s or m"
			     : "a time needs its unit: write ms, s or m behind it";
	if (!is_size(kind))
		return "nothing may follow the digits: this number takes no unit";
	if (!strcmp(rest, "B"))
		return "bytes are written without a unit: leave the B out";
	if (strchr("KMGTkmgt", *rest) && (!rest[1] || !strcasecmp(rest + 1, "iB")))
		return "case matters in units: write K, M, G, T, or KiB, MiB, GiB, TiB";
	if (strchr("KMGTkmgt", *rest) && !strcasecmp(rest + 1, "B"))
		return "a unit that may mean 10^3 or 2^10: write K, M, G, T or KiB, MiB, GiB, TiB "
		       "(powers of 1024)";
	return "this is not a unit of size: write K, M, G or T (powers of 1024)";
}

static unsigned digit(char c)
{
	return c >= '0' && c <= '9'   ? (unsigned)(c - '0')
	       : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
	       : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10)
				      : 16;
}

static int refuse(const char **why, int errnum, const char *text)
{
	*why = text;
	return -errnum;
}

int config_number(enum option_kind kind, const char *text, uint64_t *value, const char **why)
{
	static const char too_large[] = "the number doesn't fit into 64 bits: write a smaller one";
	bool hex = text[0] == '0' && text[1] == 'x';
	unsigned base = hex ? 16 : 10;
	const char *p = hex ? text + 2 : text;
	uint64_t v = 0, factor = 1;

	if (kind == OPTION_IRQ && !strcmp(text, "none")) {
		*value = OPTION_IRQ_NONE;
		return 0;
	}
	if (digit(*p) >= base)
		return refuse(why, EINVAL,
			      hex ? "hex digits are missing behind 0x: write 0x0 for zero"
				  : why_no_digits(kind, text));
	if (!hex && p[0] == '0' && (isdigit((unsigned char)p[1]) || p[1] == '_'))
		return refuse(why, EINVAL,
			      "a leading 0 could mean octal: write the number without it, or in "
			      "hex with 0x");
	if (!hex && p[0] == '0' && p[1] && strchr("oObBX", p[1]) && isalnum((unsigned char)p[2]))
		return refuse(why, EINVAL,
			      "this is no way to write a number: use decimal, or hex behind 0x "
			      "with a small x");
	for (; digit(*p) < base || (*p == '_' && digit(p[1]) < base && p[-1] != '_'); p++) {
		if (*p == '_')
			continue;
		if (__builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, digit(*p), &v))
			return refuse(why, ERANGE, too_large);
	}
	if (*p || kind == OPTION_DURATION) {
		factor = factor_of(kind, p);
		if (!factor)
			return refuse(why, EINVAL, why_no_unit(kind, p, hex));
	}
	if (__builtin_mul_overflow(v, factor, &v))
		return refuse(why, ERANGE, too_large);
	if (kind == OPTION_IRQ && v >= OPTION_IRQ_NONE)
		return refuse(why, ERANGE, "there is no such line: write a smaller number");
	*value = v;
	return 0;
}

/* ---- Guesses ----------------------------------------------------------------------------- */

static bool reads(enum option_kind kind, const char *text)
{
	const char *why;
	uint64_t value;

	return !config_number(kind, text, &value, &why);
}

/* 010: ten, or eight. */
static bool hint_octal(enum option_kind kind, const char *text, char *buf, size_t len)
{
	size_t digits = strspn(text, "0123456789"), octal = strspn(text, "01234567");
	const char *decimal = text + strspn(text, "0");
	unsigned long long eight;

	if (text[0] != '0' || digits < 2 || digits > 20 || text[digits])
		return false;
	if (!*decimal)
		decimal--;
	if (!reads(kind, decimal))
		return false;
	if (octal == digits && digits < 20 && sscanf(text, "%llo", &eight) == 1 && eight > 7)
		snprintf(buf, len, "write %s, or 0x%llx if octal was meant", decimal, eight);
	else
		snprintf(buf, len, "write %s", decimal);
	return true;
}

/* 3f8: 0x3f8. But 1e3 is no hex number without its x, and 4B is a size. */
static bool hint_hex(enum option_kind kind, const char *text, char *buf, size_t len)
{
	char candidate[24];
	size_t digits = strspn(text, "0123456789abcdefABCDEF");

	if ((kind != OPTION_UINT && kind != OPTION_ADDR) || text[0] == '0' || !digits ||
	    digits > 16 || text[digits] || !strpbrk(text, "abcdfABCDF"))
		return false;
	snprintf(candidate, sizeof(candidate), "0x%s", text);
	snprintf(buf, len, "write %s, if this is meant in hex", candidate);
	return reads(kind, candidate);
}

/* 1.5G: 1536M. */
static bool hint_fraction(enum option_kind kind, const char *text, char *buf, size_t len)
{
	static const char letters[] = "KMGT";
	char candidate[40], unit = 0;
	unsigned whole, fraction = 0, scale = 1;
	const char *p = strchr(text, '.'), *letter;

	if (!is_size(kind) || !p || sscanf(text, "%5u", &whole) != 1)
		return false;
	for (p++; isdigit((unsigned char)*p) && scale < 1000; p++, scale *= 10)
		fraction = 10 * fraction + (unsigned)(*p - '0');
	unit = (char)toupper((unsigned char)*p);
	letter = unit ? strchr(letters, unit) : NULL;
	if (!letter || letter == letters || fraction * 1024 % scale)
		return false;
	snprintf(candidate, sizeof(candidate), "%u%c", whole * 1024 + fraction * 1024 / scale,
		 letter[-1]);
	snprintf(buf, len, "write %s", candidate);
	return reads(kind, candidate);
}

bool number_hint(enum option_kind kind, const char *text, char *buf, size_t len)
{
	char clean[40] = { 0 }, shorter[sizeof(clean) + 1];
	size_t n = 0, digits;

	if (hint_octal(kind, text, buf, len) || hint_fraction(kind, text, buf, len) ||
	    hint_hex(kind, text, buf, len))
		return true;
	/* Take out what people put into numbers, then see whether it reads. */
	for (const char *p = text; *p; p++) {
		if (isblank((unsigned char)*p) || *p == ',' || *p == '_' || *p == '+')
			continue;
		if (n == sizeof(clean) - 4)
			return false;
		clean[n++] = *p;
	}
	clean[n] = 0;
	if (clean[0] == '0' && clean[1] == 'X')
		clean[1] = 'x';
	digits = strspn(clean, "0123456789");
	if (!digits)
		return false;
	for (; digits > 1 && clean[0] == '0'; digits--)
		memmove(clean, clean + 1, n--); /* 010: not octal */
	if (kind == OPTION_DURATION && !clean[digits]) {
		snprintf(shorter, sizeof(shorter), "%sm", clean);
		snprintf(buf, len, "write %sms, %ss or %s", clean, clean, shorter);
		return reads(kind, shorter);
	}
	if (is_size(kind) && clean[digits] && strchr("kmgtKMGT", clean[digits])) {
		clean[digits] = (char)toupper((unsigned char)clean[digits]);
		clean[digits + 1] = 0;
		if (!reads(kind, clean))
			return false;
		snprintf(buf, len, "write %s or %siB", clean, clean);
		return true;
	}
	if (reads(kind, clean)) {
		snprintf(buf, len, "write %s", clean);
		return true;
	}
	/* 4096B, 20sec, 5min */
	memcpy(shorter, clean, n + 1);
	shorter[digits + (kind == OPTION_DURATION)] = 0;
	if (strlen(shorter) == n || !reads(kind, shorter))
		return false;
	if (kind == OPTION_DURATION
		    ? strcasecmp(clean + digits, "sec") && strcasecmp(clean + digits, "min")
		    : strcmp(clean + digits, "B") || !is_size(kind))
		return false;
	snprintf(buf, len, "write %s", shorter);
	return true;
}

/* ---- Printing ---------------------------------------------------------------------------- */

const char *config_size_text(uint64_t size, char *buf, size_t len)
{
	unsigned i = 4; /* the single letters, the largest first */

	while (i > 0 && (!size || size % size_units[i - 1].factor))
		i--;
	if (i)
		snprintf(buf, len, "%" PRIu64 "%s", size / size_units[i - 1].factor,
			 size_units[i - 1].name);
	else
		snprintf(buf, len, "%" PRIu64, size);
	return buf;
}

const char *config_size_rough(uint64_t size, char *buf, size_t len)
{
	static const char units[] = "KMGT";
	double value = (double)size;
	uint64_t tenths;
	unsigned i = 0;

	for (; value >= 1024 && i < sizeof(units) - 1; i++)
		value /= 1024;
	tenths = (uint64_t)(value * 10 + 0.5);
	if (!i)
		snprintf(buf, len, "%" PRIu64 " byte%s", size, size == 1 ? "" : "s");
	else if (tenths < 1000 && tenths % 10)
		snprintf(buf, len, "%" PRIu64 ".%u%c", tenths / 10, (unsigned)(tenths % 10),
			 units[i - 1]);
	else
		snprintf(buf, len, "%" PRIu64 "%c", (tenths + 5) / 10, units[i - 1]);
	return buf;
}

const char *number_text(enum option_kind kind, uint64_t value, bool hex, char *buf, size_t len)
{
	if (kind == OPTION_SIZE && !hex)
		return config_size_text(value, buf, len);
	if (kind == OPTION_IRQ && value == OPTION_IRQ_NONE)
		snprintf(buf, len, "none");
	else if (kind == OPTION_ADDR || hex)
		snprintf(buf, len, "0x%" PRIx64, value);
	else if (kind == OPTION_DURATION && value % NS_PER_S)
		snprintf(buf, len, "%" PRIu64 "ms", value / NS_PER_MS);
	else if (kind == OPTION_DURATION)
		snprintf(buf, len, "%" PRIu64 "s", value / NS_PER_S);
	else
		snprintf(buf, len, "%" PRIu64, value);
	return buf;
}
