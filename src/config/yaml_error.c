/* yaml_error.c: what libyaml finds wrong, in words for the person who wrote it. */
#include <string.h>
#include <yaml.h>

#include <vibevmm/bytes.h>
#include <vibevmm/utf8.h>

#include "loader.h"

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
	  "is there a ',' or a bracket too many?", false },
	{ "mapping keys are not allowed in this context", NULL, "a '?' can't begin a key here",
	  "write `key: value`", false },
	{ "control characters are not allowed", NULL, "a control character",
	  "write it as an escape in double quotes, such as \"\\x1b\"", false },
};

/* The character at a libyaml mark, whose index counts characters. 0 at the end. */
static uint32_t char_at(const struct source *source, size_t index)
{
	size_t at = 0, n;
	uint32_t c = 0;

	if (source->len >= 3 && !memcmp(source->text, "\xef\xbb\xbf", 3))
		at = 3;
	for (; (n = utf8_decode(source->text + at, source->len - at, &c)) && index; index--)
		at += n;
	return n ? c : 0;
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

void yaml_error_report(const void *yaml_parser, const struct source *source, struct diags *diags)
{
	const yaml_parser_t *parser = yaml_parser;
	struct mark problem = mark_of(source, &parser->problem_mark);
	struct mark context = mark_of(source, &parser->context_mark);
	const char *text = parser->problem ? parser->problem : "this is not YAML";
	const struct sentence *s = NULL;

	if (parser->error == YAML_MEMORY_ERROR) {
		diag_error(diags, (struct mark){ .source = source }, "out of memory");
		return;
	}
	if (parser->error == YAML_READER_ERROR)
		problem = mark_of_offset(source, parser->problem_offset);
	if (!strcmp(text, "found character that cannot start any token")) {
		report_bad_start(problem, char_at(source, parser->problem_mark.index), diags);
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
	diag_error(diags, s->at_context && parser->context ? context : problem, "%s", s->text);
	if (!s->at_context && parser->context &&
	    (!strncmp(parser->context, "while parsing a block", 21) ||
	     !strncmp(parser->context, "while parsing a flow", 20)))
		diag_note(diags, context, "the %s begins here",
			  strstr(parser->context, "mapping") ? "mapping" : "list");
	if (s->help)
		diag_help(diags, "%s", s->help);
}
