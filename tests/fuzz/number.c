/* number.c: numbers of every kind: what is read prints as something that reads as the same; what is
 * refused has a reason, and a hint that reads. */
#include "fuzz.h"

#include "../../src/config/loader.h"

static uint64_t must_read(enum option_kind kind, const char *text)
{
	const char *why;
	uint64_t value = 0;

	must(!config_number(kind, text, &value, &why));
	return value;
}

/* "write 10, or 0x8 if octal was meant": every word with a digit in it is a number. */
static void check_hint(enum option_kind kind, char *hint)
{
	must(!strncmp(hint, "write ", 6));
	for (char *word = strtok(hint, " ,"); word; word = strtok(NULL, " ,")) {
		if (strpbrk(word, "0123456789"))
			must_read(kind, word);
	}
}

static void fuzz_one(const uint8_t *data, size_t size)
{
	static const enum option_kind kinds[] = { OPTION_UINT, OPTION_SIZE, OPTION_ADDR, OPTION_IRQ,
						  OPTION_DURATION };
	char *text = malloc(size + 1);

	must(text);
	memcpy(text, data, size);
	text[size] = 0;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		enum option_kind kind = kinds[i];
		char buf[NUMBER_TEXT_MAX], hint[200];
		const char *why = NULL;
		uint64_t value = 0xabcd;

		if (config_number(kind, text, &value, &why)) {
			must(why && why[0] && value == 0xabcd);
			if (number_hint(kind, text, hint, sizeof(hint)))
				check_hint(kind, hint);
			continue;
		}
		must(must_read(kind, number_text(kind, value, false, buf, sizeof(buf))) == value);
		if (kind == OPTION_SIZE)
			must(must_read(kind, config_size_text(value, buf, sizeof(buf))) == value);
		if (kind == OPTION_UINT)
			must(must_read(kind, number_text(kind, value, true, buf, sizeof(buf))) ==
			     value);
	}
	free(text);
}
