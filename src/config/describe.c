/* describe.c: the rows in words, for `devices`, `keys`, the schema and the manual. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <vibevmm/bytes.h>

#include "loader.h"

const struct config_type *config_choice_type(const struct registry *registry,
					     const struct option *option, size_t i)
{
	const struct config_type *const *kinds;
	size_t n;

	switch (vm_choice_table(option)) {
	case TABLE_MEMORY:
		kinds = config_memory_types(&n);
		return i < n ? kinds[i] : NULL;
	case TABLE_BOOT:
		return i < registry->n_boots ? &registry->boots[i]->type : NULL;
	case TABLE_DEVICES:
		return i < registry->n_devices ? &registry->devices[i]->type : NULL;
	case TABLE_COUNT:
		break;
	}
	return NULL;
}

const char *const *config_option_words(const struct option *option)
{
	static const char *backends[BACKEND_WORDS_MAX];

	if (option->kind == OPTION_ENUM)
		return option->words;
	if (option->kind != OPTION_STRING || option->text != TEXT_BACKEND)
		return NULL;
	config_backend_words(backends, ARRAY_SIZE(backends));
	return backends;
}

/* A line of words that grows; what doesn't fit is cut. */
struct words {
	char *buf;
	size_t len, used;
};

static void __attribute__((format(printf, 2, 3))) add(struct words *w, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(w->buf + w->used, w->len - w->used, fmt, ap);
	va_end(ap);
	if (n > 0)
		w->used += (size_t)n < w->len - w->used ? (size_t)n : w->len - w->used - 1;
}

/* Whether people write this number in hex: ports, and what has its default so. */
static bool is_hex(const struct option *option)
{
	size_t len = strlen(option->key);

	return option->kind == OPTION_UINT &&
	       ((option->def && number_is_hex(option->def)) ||
		(len >= 4 && !strcmp(option->key + len - 4, "port")));
}

static void add_range(struct words *w, const struct option *o)
{
	char low[NUMBER_TEXT_MAX], high[NUMBER_TEXT_MAX], align[NUMBER_TEXT_MAX];

	number_text(o->kind, o->min, is_hex(o), low, sizeof(low));
	number_text(o->kind, o->max, is_hex(o), high, sizeof(high));
	config_size_text(o->align, align, sizeof(align));
	if (o->min && o->max)
		add(w, " from %s to %s", low, high);
	else if (o->min)
		add(w, ", at least %s", low);
	else if (o->max)
		add(w, " up to %s", high);
	if (o->align > 1)
		add(w, ", a multiple of %s", align);
}

static void add_text(struct words *w, const struct option *o)
{
	const char *const *words = config_option_words(o);

	if (words) {
		for (size_t i = 0; words[i]; i++)
			add(w, "%s%s", !i ? "" : words[i + 1] ? ", " : " or ", words[i]);
		return;
	}
	switch (o->text) {
	case TEXT_BACKEND: /* has words */
	case TEXT_ANY:
		add(w, "text");
		break;
	case TEXT_MAC:
		add(w, "hardware address such as 52:54:00:12:34:56");
		return;
	case TEXT_IFNAME:
		add(w, "name of a network interface");
		return;
	case TEXT_REGEX:
		add(w, "POSIX extended regular expression");
		return;
	case TEXT_EXIT:
		add(w, "0 to 63, poweroff, reset, panic or crash");
		return;
	case TEXT_UUID:
		add(w, "UUID such as 8d3f9c52-0a1b-4c6e-9f57-2b8e6d4c1a70");
		return;
	case TEXT_PCI:
		add(w, "PCI function such as 0000:01:00.0");
		return;
	}
	if (o->min && o->max)
		add(w, " of %llu to %llu bytes", (unsigned long long)o->min,
		    (unsigned long long)o->max);
	else if (o->max)
		add(w, " of at most %llu bytes", (unsigned long long)o->max);
}

static void add_maps(struct words *w, const struct config_type *type)
{
	const char *comma = " ";

	add(w, "list, each entry a mapping of");
	for (const struct option *o = type->options; o->key; o++, comma = ", ")
		add(w, "%s%s", comma, o->key);
}

const char *config_values_text(const struct option *option, char *buf, size_t len)
{
	static const char *const nouns[] = {
		[OPTION_BOOL] = "true or false",
		[OPTION_UINT] = "number",
		[OPTION_SIZE] = "size",
		[OPTION_ADDR] = "address",
		[OPTION_IRQ] = "interrupt line, or none",
		[OPTION_DURATION] = "time such as 20s",
		[OPTION_PATH] = "path of a file",
		[OPTION_MAP] = "mapping of options",
		[OPTION_CHOICE] = "one name with its options",
		[OPTION_CHOICES] = "list, each entry one name with its options",
	};
	struct words w = { .buf = buf, .len = len };

	if (option->kind == OPTION_STRING || option->kind == OPTION_ENUM)
		add_text(&w, option);
	else if (option->kind == OPTION_MAPS)
		add_maps(&w, option->type);
	else
		add(&w, "%s", nouns[option->kind]);
	if (option->kind == OPTION_UINT || option->kind == OPTION_SIZE ||
	    option->kind == OPTION_ADDR || option->kind == OPTION_DURATION)
		add_range(&w, option);
	return buf;
}
