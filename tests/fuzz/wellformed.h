/* fuzz/wellformed.h: whether what is printed is JSON (RFC 8259), or well-formed XML (1.0), in
 * UTF-8. */
#ifndef FUZZ_WELLFORMED_H
#define FUZZ_WELLFORMED_H

#include <ctype.h>

#include <vibevmm/utf8.h>

#include "fuzz.h"

static inline const char *json_blank(const char *p)
{
	return p + strspn(p, " \t\r\n");
}

/* Each of these returns what is behind, or NULL. */
static inline const char *json_string(const char *p)
{
	if (*p++ != '"')
		return NULL;
	while (*p != '"') {
		if ((unsigned char)*p < 0x20)
			return NULL; /* the end, too */
		if (*p++ != '\\')
			continue;
		if (*p == 'u') {
			for (unsigned i = 0; i < 4; i++) {
				if (!isxdigit((unsigned char)*++p))
					return NULL;
			}
		} else if (!*p || !strchr("\"\\/bfnrt", *p)) {
			return NULL;
		}
		p++;
	}
	return p + 1;
}

static inline const char *json_scalar(const char *p)
{
	static const char *const words[] = { "true", "false", "null" };

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (!strncmp(p, words[i], strlen(words[i])))
			return p + strlen(words[i]);
	}
	p += *p == '-';
	if (!isdigit((unsigned char)*p) || (*p == '0' && isdigit((unsigned char)p[1])))
		return NULL;
	return p + strspn(p, "0123456789");
}

static inline const char *json_value(const char *p, unsigned depth)
{
	char close = *p == '{' ? '}' : ']';

	if (*p == '"')
		return json_string(p);
	if (*p != '{' && *p != '[')
		return json_scalar(p);
	p = json_blank(p + 1);
	if (*p == close)
		return p + 1;
	for (; depth < 64; p = json_blank(p + 1)) {
		if (close == '}') {
			p = json_string(p);
			p = p ? json_blank(p) : NULL;
			if (!p || *p != ':')
				return NULL;
			p = json_blank(p + 1);
		}
		p = json_value(p, depth + 1);
		if (!p)
			return NULL;
		p = json_blank(p);
		if (*p == close)
			return p + 1;
		if (*p != ',')
			return NULL;
	}
	return NULL;
}

static inline void must_be_json(const char *text)
{
	const char *end = json_value(json_blank(text), 0);

	if (!end || *json_blank(end))
		fprintf(stderr, "--- no JSON\n%s\n", text);
	must(end && !*json_blank(end));
	must(utf8_check(text, strlen(text)) == strlen(text));
}

static inline bool xml_reference(const char *p)
{
	static const char *const known[] = { "&amp;", "&lt;", "&gt;", "&quot;", "&apos;", "&#" };

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (!strncmp(p, known[i], strlen(known[i])))
			return true;
	}
	return false;
}

/* Tags are counted, not compared by name. */
static inline void must_be_xml(const char *text)
{
	bool tag = false, good = true;
	char quote = 0;
	int depth = 0;

	for (const char *p = text; *p && good; p++) {
		if (*p == '&') {
			good = xml_reference(p);
		} else if (quote) {
			good = *p != '<';
			quote = *p == quote ? 0 : quote;
		} else if (!tag && *p == '<') {
			tag = true;
			depth += p[1] == '/' ? -1 : p[1] != '?' && p[1] != '!';
			good = depth >= 0;
		} else if (tag && *p == '>') {
			tag = false;
			depth -= p[-1] == '/';
		} else if (tag && (*p == '"' || *p == '\'')) {
			quote = *p;
		} else {
			good = *p != '<';
		}
	}
	if (!good || tag || quote || depth)
		fprintf(stderr, "--- no XML\n%s\n", text);
	must(good && !tag && !quote && !depth);
	must(utf8_check(text, strlen(text)) == strlen(text));
}

#endif
