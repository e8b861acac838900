/* yaml_error.c: what libyaml finds wrong, in words for the person who wrote it. */
#include <string.h>
#include <yaml.h>

#include <vibevmm/bytes.h>
#include <vibevmm/utf8.h>

#include "loader.h"

#define NO_BREAK_SPACE "\xc2\xa0" /* what web pages put between words */

/* libyaml 0.2.5's problems that users meet. The others are shown as they are. */
static const struct sentence {
	const char *problem;
	const char *context; /* NULL: any */
	const char *text;
	const char *help;
	bool at_context; /* the place of interest is where the construct began */
} sentences[] = {
	{ "mapping values are not allowed in this context", NULL,
	  "a second ':' where no key can be",
	  "put options in braces, `- TYPE: {key: value}`, or each on a line of its own below; "
	  "quote "
	  "a text with ': ' in it",
	  false },
	{ "did not find expected key", "while parsing a block mapping",
	  "this is not a key of the mapping around it: is it indented as the others are?",
	  "keys of one mapping begin in the same column; a text with quotes inside is quoted as a "
	  "whole",
	  false },
	{ "did not find expected '-' indicator", NULL,
	  "this line is neither an entry of the list above, which begins with '- ', nor outside it",
	  "begin it with '- ', or indent it as the key that the list belongs to", false },
	{ "block sequence entries are not allowed in this context", NULL,
	  "a list can't begin here, behind other text", "begin the list on a line of its own",
	  false },
	{ "could not find expected ':'", NULL, "a ':' is missing behind this key",
	  "write `key: value`, with a blank behind the ':'; an entry of a list begins with '- '",
	  true },
	{ "did not find expected ',' or ']'", NULL, "a ',' or the closing ']' is missing here",
	  NULL, false },
	{ "did not find expected ',' or '}'", NULL, "a ',' or the closing '}' is missing here",
	  NULL, false },
	{ "found unexpected end of stream", "while scanning a quoted scalar",
	  "this quote is never closed", NULL, true },
	{ "found unexpected document indicator", "while scanning a quoted scalar",
	  "this quote is never closed", NULL, true },
	{ "found unknown escape character", NULL, "no such escape in double quotes",
	  "write \\\\ for a backslash, or use single quotes, where it needs no escape", false },
	{ "did not find expected hexdecimal number", NULL, "this escape needs hex digits",
	  "\\x takes 2 of them, \\u takes 4, \\U takes 8", false },
	{ "found invalid Unicode character escape code", NULL,
	  "this escape is no Unicode character", NULL, false },
	{ "did not find expected alphabetic or numeric character", NULL,
	  "'*' and '&' at the start of a value mean aliases and anchors", "put it in quotes",
	  true },
	{ "did not find expected comment or line break", NULL,
	  "a text after '|' or '>' begins on the next line", NULL, false },
	{ "found a tab character where an indentation space is expected", NULL,
	  "a tab can't indent", "use spaces", false },
	{ "found a tab character that violates indentation", NULL, "a tab can't indent",
	  "use spaces", false },
	{ "did not find expected <document start>", NULL,
	  "more text after the end of the config: is this line indented as the others are?", NULL,
	  false },
	{ "did not find expected node content", NULL, "a value is missing here",
	  "is there a ',' too many, or no bracket at the end?", false },
	{ "mapping keys are not allowed in this context", NULL, "a '?' can't begin a key here",
	  "write `key: value`", false },
	{ "did not find expected whitespace or line break", "while scanning a tag",
	  "tags (!...) are not taken", "a text that begins with '!' needs quotes", true },
	{ "found undefined tag handle", NULL, "tags (!...!...) are not taken",
	  "delete the tag; a text that begins with '!' needs quotes", false },
	{ "control characters are not allowed", NULL, "a control character",
	  "write it as an escape in double quotes, such as \"\\x1b\"", false },
};

/* The text at a libyaml mark, whose index counts characters. */
static const char *text_at(const struct source *source, const yaml_mark_t *mark)
{
	size_t index = mark->index, at = 0, n;
	uint32_t c = 0;

	if (source->len >= 3 && !memcmp(source->text, "\xef\xbb\xbf", 3))
		at = 3;
	for (; index && (n = utf8_decode(source->text + at, source->len - at, &c)); index--)
		at += n;
	return source->text + at;
}

/* 0 at the end. */
static uint32_t char_at(const struct source *source, const yaml_mark_t *mark)
{
	const char *p = text_at(source, mark);
	uint32_t c = 0;

	utf8_decode(p, source->len - (size_t)(p - source->text), &c);
	return c;
}

static struct mark mark_of(const struct source *source, const yaml_mark_t *m)
{
	return (struct mark){ source, (uint32_t)m->line + 1, (uint32_t)m->column + 1, 1 };
}

/* libyaml stumbles over the first character of a token. */
static void report_bad_start(struct mark mark, uint32_t c, struct diags *diags)
{
	if (c == '\t') {
		diag_error(diags, mark, "a tab can't indent");
		diag_help(diags, "use spaces");
	} else if (c == '%') {
		diag_error(diags, mark, "a value can't begin with '%%'");
		diag_help(diags, "put it in quotes");
	} else if (c > 0x20 && c < 0x7f) {
		diag_error(diags, mark, "a value can't begin with '%c'", (char)c);
		diag_help(diags, "put it in quotes");
	} else {
		diag_error(diags, mark, "this character can't begin a value");
	}
}

/* The reader has no mark but an offset: in bytes, behind a byte order mark. */
static struct mark mark_of_offset(const struct source *source, size_t offset)
{
	struct mark mark = { source, 1, 1, 1 };
	size_t at = 0, n;

	if (source->len >= 3 && !memcmp(source->text, "\xef\xbb\xbf", 3))
		at = 3;
	offset += at;
	for (uint32_t c; at < offset; at += n) {
		n = utf8_decode(source->text + at, source->len - at, &c);
		if (!n)
			break;
		mark.column = c == '\n' ? 1 : mark.column + 1;
		mark.line += c == '\n';
	}
	return mark;
}

/* The line around p, and its length without the break. */
static const char *line_at(const struct source *source, const char *p, size_t *len)
{
	const char *end = source->text + source->len;

	while (p > source->text && p[-1] != '\n')
		p--;
	for (*len = 0; p + *len < end && p[*len] != '\n' && p[*len] != '\r';)
		++*len;
	return p;
}

/* What `git merge` leaves behind. */
static bool report_conflict(const struct source *source, struct diags *diags)
{
	static const char marker[] = "\n<<<<<<< ";
	struct mark mark = { source, 1, 1, 7 };
	const char *found = memmem(source->text, source->len, marker, sizeof(marker) - 1);

	if (!found)
		return false;
	for (const char *p = source->text; p <= found; p++)
		mark.line += *p == '\n';
	diag_error(diags, mark, "a merge conflict is left in this file");
	diag_help(diags, "keep one of the sides, and delete the lines <<<<<<<, ======= and "
			 ">>>>>>>");
	return true;
}

/* Whether the key that may not be here is below a line that would have to end in ':'. */
static bool below_bare_word(const struct source *source, const char *colon)
{
	size_t len, above_len, indent, above_indent;
	const char *line = line_at(source, colon, &len), *above;

	if (line == source->text)
		return false;
	above = line_at(source, line - 1, &above_len);
	indent = strspn(line, " ");
	above_indent = strspn(above, " -");
	return !memchr(line + indent, ' ', (size_t)(colon - line) - indent) &&
	       above_indent < above_len && above_indent <= indent &&
	       !memchr(above, ':', above_len) && !memchr(above, '#', above_len);
}

void yaml_error_report(const void *yaml_parser, const struct source *source, struct diags *diags)
{
	const yaml_parser_t *parser = yaml_parser;
	struct mark problem = mark_of(source, &parser->problem_mark);
	struct mark context = mark_of(source, &parser->context_mark);
	const char *text = parser->problem ? parser->problem : "this is not YAML", *line;
	const struct sentence *s = NULL;
	bool at_context;
	size_t len;

	if (parser->error == YAML_MEMORY_ERROR) {
		diag_error(diags, (struct mark){ .source = source }, "out of memory");
		return;
	}
	if (parser->error == YAML_READER_ERROR)
		problem = mark_of_offset(source, parser->problem_offset);
	/* At the end libyaml is on a line of its own, even if the last one has no end. */
	if (source->len && source->text[source->len - 1] != '\n' && !parser->problem_mark.column) {
		struct mark end = mark_of_offset(source, source->len);

		if (problem.line > end.line)
			problem = end;
	}
	if (report_conflict(source, diags))
		return;
	if (!strcmp(text, "mapping values are not allowed in this context") &&
	    below_bare_word(source, text_at(source, &parser->problem_mark))) {
		diag_error(diags, problem, "no key can stand here: the line above has no ':'");
		diag_help(diags, "write a ':' at the end of the line above, and indent what "
				 "belongs to it");
		return;
	}
	if (!strcmp(text, "found character that cannot start any token")) {
		report_bad_start(problem, char_at(source, &parser->problem_mark), diags);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(sentences) && !s; i++) {
		if (!strcmp(text, sentences[i].problem) &&
		    (!sentences[i].context ||
		     (parser->context && !strcmp(parser->context, sentences[i].context))))
			s = &sentences[i];
	}
	if (!s) {
		diag_error(diags, problem, "%s%s%s", parser->context ? parser->context : "",
			   parser->context ? ", " : "", text);
		return;
	}
	at_context = s->at_context && parser->context;
	diag_error(diags, at_context ? context : problem, "%s", s->text);
	if (!s->at_context && parser->context && !strstr(parser->context, " node") &&
	    (!strncmp(parser->context, "while parsing a block", 21) ||
	     !strncmp(parser->context, "while parsing a flow", 20)))
		diag_note(diags, context, "the %s begins here",
			  strstr(parser->context, "mapping") ? "mapping" : "list");
	line = line_at(source,
		       text_at(source, at_context ? &parser->context_mark : &parser->problem_mark),
		       &len);
	if (memmem(line, len, NO_BREAK_SPACE, strlen(NO_BREAK_SPACE)))
		diag_help(diags, "this line has a no-break space (U+00A0) in it, which only looks "
				 "like a blank");
	else if (s->help)
		diag_help(diags, "%s", s->help);
}
