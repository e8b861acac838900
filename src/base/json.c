/* json.c: writing JSON. */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include <vibevmm/json.h>
#include <vibevmm/utf8.h>

static void indent(struct json *json)
{
	if (!json->compact)
		fprintf(json->out, "\n%*s", 2 * (int)json->depth, "");
}

void json_quote_bytes(FILE *out, const char *text, size_t len)
{
	size_t n;

	fputc('"', out);
	for (size_t i = 0; i < len; i += n) {
		uint32_t c = '?';

		n = utf8_decode(text + i, len - i, &c);
		if (!n)
			n = 1;
		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", (char)c);
		else if (c == '\n')
			fputs("\\n", out);
		else if (c < 0x20 || (c >= 0x7f && c < 0xa0))
			fprintf(out, "\\u%04x", c);
		else if (n == 1)
			fputc((int)c, out);
		else
			fwrite(text + i, 1, n, out);
	}
	fputc('"', out);
}

void json_quote(FILE *out, const char *text)
{
	if (text)
		json_quote_bytes(out, text, strlen(text));
	else
		fputs("null", out);
}

/* What stands before a value: the comma behind the one before, and its key. */
static void begin(struct json *json, const char *key)
{
	if (!json->depth)
		return;
	if (json->full[json->depth - 1])
		fputs(json->compact ? ", " : ",", json->out);
	json->full[json->depth - 1] = true;
	indent(json);
	if (key) {
		json_quote(json->out, key);
		fputs(": ", json->out);
	}
}

void json_open(struct json *json, const char *key, char bracket)
{
	begin(json, key);
	fputc(bracket, json->out);
	assert(json->depth < JSON_MAX_DEPTH);
	json->full[json->depth++] = false;
}

void json_close(struct json *json, char bracket)
{
	assert(json->depth);
	if (json->full[--json->depth])
		indent(json);
	fputc(bracket, json->out);
}

void json_string(struct json *json, const char *key, const char *value)
{
	begin(json, key);
	json_quote(json->out, value);
}

void json_uint(struct json *json, const char *key, uint64_t value)
{
	begin(json, key);
	fprintf(json->out, "%" PRIu64, value);
}

void json_bool(struct json *json, const char *key, bool value)
{
	begin(json, key);
	fputs(value ? "true" : "false", json->out);
}
