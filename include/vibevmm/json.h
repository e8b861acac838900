/* json.h: writing JSON (RFC 8259), indented by two spaces or on one line.
 *
 * A writer is told what comes next and sees to commas, indentation and escapes. The key of what
 * stands in an object is its name; in an array it is NULL. Texts are UTF-8; a byte that isn't is
 * written as '?'. One thread at a time; write errors show in ferror(out).
 */
#ifndef VIBEVMM_JSON_H
#define VIBEVMM_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define JSON_MAX_DEPTH 32

struct json {
	FILE *out;
	bool compact; /* all on one line */
	unsigned depth;
	bool full[JSON_MAX_DEPTH]; /* by depth: something stands there already */
};

/* struct json json = { .out = stdout }; open the outermost object or array with key NULL, and end
 * the text with a newline of your own. bracket: '{' or '['. */
void json_open(struct json *json, const char *key, char bracket);
void json_close(struct json *json, char bracket); /* '}' or ']' */

void json_string(struct json *json, const char *key, const char *value); /* NULL: null */
void json_uint(struct json *json, const char *key, uint64_t value);
void json_bool(struct json *json, const char *key, bool value);

/* A text as a string with its quotes, and nothing around it; NULL as null. */
void json_quote(FILE *out, const char *text);
void json_quote_bytes(FILE *out, const char *text, size_t len);

#endif
