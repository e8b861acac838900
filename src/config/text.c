/* text.c: a growing buffer, and YAML's double-quoted style. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vibevmm/utf8.h>

#include "loader.h"

void text_add(struct text *text, const char *s, size_t len)
{
	if (text->failed || !len)
		return;
	if (text->cap - text->len < len) {
		size_t cap = text->cap ? text->cap : 4096;
		char *p;

		while (cap - text->len < len)
			cap *= 2;
		p = realloc(text->p, cap);
		if (!p) {
			text->failed = true;
			return;
		}
		text->p = p;
		text->cap = cap;
	}
	memcpy(text->p + text->len, s, len);
	text->len += len;
}

/* Characters that YAML 1.1 folds, strips or refuses in a quoted text (sections 4.1 and 5.4). */
static bool needs_escape(uint32_t c)
{
	return c == '"' || c == '\\' || utf8_is_control(c) || c == 0x2028 || c == 0x2029 ||
	       c == 0xfeff || c == 0xfffe || c == 0xffff;
}

void text_add_quoted(struct text *text, const char *s, size_t len)
{
	size_t plain = 0, n;

	text_adds(text, "\"");
	for (size_t i = 0; i < len; i += n) {
		char escape[16];
		uint32_t c;

		n = utf8_decode(s + i, len - i, &c);
		if (!n) {
			/* Not reached: nothing gets here that file_check_text didn't see. */
			n = 1;
			continue;
		}
		if (!needs_escape(c))
			continue;
		text_add(text, s + plain, i - plain);
		plain = i + n;
		if (c == '"' || c == '\\')
			snprintf(escape, sizeof(escape), "\\%c", (char)c);
		else if (c == '\n')
			snprintf(escape, sizeof(escape), "\\n");
		else if (c == '\t')
			snprintf(escape, sizeof(escape), "\\t");
		else
			snprintf(escape, sizeof(escape), "\\u%04x", c);
		text_adds(text, escape);
	}
	text_add(text, s + plain, len - plain);
	text_adds(text, "\"");
}
