/* tree.c: from YAML text to positioned nodes, by libyaml's events.
 *
 * Not yaml_parser_load: it has no marks of keys, allows cycles, and knows no limits. What YAML can
 * do beyond scalars, lists and mappings is refused: aliases and merge keys (their cost is
 * exponential), tags, directives, several documents.
 */
#include <string.h>
#include <yaml.h>

#include "loader.h"

#define BOM "\xef\xbb\xbf" /* U+FEFF in UTF-8; takes no column */

#define YAML_TAG_PREFIX "tag:yaml.org,2002:" /* what !! stands for */

struct frame {
	struct node *node;
	char *key; /* of the next value; NULL: a key is due */
	struct mark key_mark;
	bool drop; /* the next value belongs to a key that was refused */
};

struct builder {
	struct arena *arena;
	const struct source *source;
	struct diags *diags;
	yaml_parser_t parser;
	struct node *root;
	unsigned documents;
	struct frame stack[TREE_MAX_DEPTH];
	unsigned depth;
};

static struct mark span(const struct builder *b, const yaml_mark_t *from, const yaml_mark_t *to)
{
	struct mark mark = { b->source, (uint32_t)from->line + 1, (uint32_t)from->column + 1, 1 };

	if (from->line == to->line && to->column > from->column)
		mark.length = (uint32_t)(to->column - from->column);
	return mark;
}

static struct frame *top(struct builder *b)
{
	return b->depth ? &b->stack[b->depth - 1] : NULL;
}

static bool key_is_due(struct builder *b)
{
	struct frame *frame = top(b);

	return frame && frame->node->kind == NODE_MAP && !frame->key;
}

/* Puts a finished or just opened value where it belongs. */
static void attach(struct builder *b, struct node *node)
{
	struct frame *frame = top(b);

	if (!frame) {
		b->root = node;
		return;
	}
	if (frame->node->kind == NODE_MAP) {
		node->key = frame->key;
		node->key_mark = frame->key_mark;
		frame->key = NULL;
	}
	if (!frame->drop)
		node_add(b->arena, frame->node, node);
	frame->drop = false;
}

/* Anchors and tags: reported, and otherwise ignored. */
static void refuse_extras(struct builder *b, const yaml_event_t *event, const yaml_char_t *anchor,
			  const yaml_char_t *tag)
{
	struct mark mark = span(b, &event->start_mark, &event->start_mark);

	if (anchor) {
		diag_error(b->diags, mark, "anchors (&%.32s) are not taken", (const char *)anchor);
		diag_help(b->diags, "delete the anchor, and write the values out where they are "
				    "used; a text that begins with '&' needs quotes");
	}
	if (tag) {
		const char *name = (const char *)tag;
		bool core = !strncmp(name, YAML_TAG_PREFIX, strlen(YAML_TAG_PREFIX));

		diag_error(b->diags, mark, "tags (%s%.32s) are not taken", core ? "!!" : "",
			   core ? name + strlen(YAML_TAG_PREFIX) : name);
		diag_help(b->diags, "delete the tag; a text that begins with '!' needs quotes");
	}
}

static void take_key(struct builder *b, char *key, size_t len, struct mark mark, bool plain)
{
	struct frame *frame = top(b);
	const struct node *first = node_get(frame->node, key);

	frame->key = key;
	frame->key_mark = mark;
	if (plain && !strcmp(key, "<<")) {
		diag_error(b->diags, mark, "merge keys (<<) are not taken");
		diag_help(b->diags, "write the keys out");
		frame->drop = frame->node->bad = true;
	} else if (strlen(key) != len) {
		diag_error(b->diags, mark, "a NUL character in a key");
		diag_help(b->diags, "delete the \\0: no text here can hold one");
		frame->drop = frame->node->bad = true;
	} else if (first) {
		diag_error(b->diags, mark, "'%.64s' is given twice", key);
		diag_note(b->diags, first->key_mark, "first here");
		diag_help(b->diags, "delete one of them");
		frame->drop = frame->node->bad = true;
	}
}

/* Whether there is room for one more value; if not, reports it at mark. */
static bool may_grow(struct builder *b, struct mark mark)
{
	const struct frame *frame = top(b);

	if (frame && frame->node->kind == NODE_SEQ && frame->node->n_children == TREE_MAX_ENTRIES) {
		diag_error(b->diags, mark, "more than %d entries in one list", TREE_MAX_ENTRIES);
		diag_help(b->diags, "is this the right file?");
		return false;
	}
	if (b->arena->nodes >= TREE_MAX_NODES) {
		diag_error(b->diags, mark, "more than %d values in one config", TREE_MAX_NODES);
		diag_help(b->diags, "is this the right file?");
		return false;
	}
	return true;
}

static int on_scalar(struct builder *b, const yaml_event_t *event)
{
	const char *value = (const char *)event->data.scalar.value;
	bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	struct mark mark = span(b, &event->start_mark, &event->end_mark);
	size_t len = event->data.scalar.length;
	char *text = arena_copy(b->arena, value, len);
	struct node *node;

	refuse_extras(b, event, event->data.scalar.anchor, event->data.scalar.tag);
	if (!text)
		return -1;
	if (key_is_due(b)) {
		if (top(b)->node->n_children >= TREE_MAX_KEYS) {
			diag_error(b->diags, mark, "more than %d keys in one mapping",
				   TREE_MAX_KEYS);
			diag_help(b->diags, "is this the right file?");
			return -1;
		}
		take_key(b, text, len, mark, plain);
		return 0;
	}
	if (!may_grow(b, mark))
		return -1;
	node = node_new(b->arena, NODE_SCALAR, mark);
	if (!node)
		return -1;
	node->text = text;
	node->len = len;
	node->plain = plain;
	if (strlen(text) != len) {
		diag_error(b->diags, mark, "a NUL character in a value");
		diag_help(b->diags, "delete the \\0: no text here can hold one");
		node->bad = true;
	}
	attach(b, node);
	return 0;
}

static int on_alias(struct builder *b, const yaml_event_t *event)
{
	struct mark mark = span(b, &event->start_mark, &event->end_mark);
	struct node *node;

	if (!may_grow(b, mark))
		return -1;
	node = node_new(b->arena, NODE_SCALAR, mark);
	diag_error(b->diags, mark, "aliases (*%.32s) are not taken",
		   (const char *)event->data.alias.anchor);
	diag_help(b->diags, "write the value out; a text that begins with '*' needs quotes");
	if (!node || key_is_due(b))
		return -1;
	node->text = arena_copy(b->arena, "", 0);
	node->bad = true;
	attach(b, node);
	return 0;
}

static int on_start(struct builder *b, const yaml_event_t *event, enum node_kind kind)
{
	bool map = kind == NODE_MAP;
	struct mark mark = span(b, &event->start_mark, &event->start_mark);
	struct node *node;

	refuse_extras(b, event,
		      map ? event->data.mapping_start.anchor : event->data.sequence_start.anchor,
		      map ? event->data.mapping_start.tag : event->data.sequence_start.tag);
	if (key_is_due(b)) {
		diag_error(b->diags, mark, "a key is a single word, not %s",
			   map ? "a mapping" : "a list");
		diag_help(b->diags, "a text with braces or brackets in it needs quotes");
		return -1;
	}
	if (b->depth == TREE_MAX_DEPTH) {
		diag_error(b->diags, mark, "nested more than %d deep", TREE_MAX_DEPTH);
		diag_help(b->diags, "no config needs so many levels: is there a bracket too many?");
		return -1;
	}
	if (!may_grow(b, mark))
		return -1;
	node = node_new(b->arena, kind, mark);
	if (!node)
		return -1;
	attach(b, node);
	b->stack[b->depth++] = (struct frame){ .node = node };
	return 0;
}

static int on_document(struct builder *b, struct mark mark)
{
	if (!b->documents++)
		return 0;
	if (node_is_null(b->root)) {
		diag_error(b->diags, mark, "a second document begins here, behind an empty one");
		diag_help(b->diags, "delete the line, or the '---' before it");
		return -1;
	}
	diag_error(b->diags, mark, "a second document begins here; a file is one VM");
	diag_help(b->diags, "put it into a file of its own");
	return 1;
}

static int on_event(struct builder *b, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		return on_document(b, span(b, &event->start_mark, &event->end_mark));
	case YAML_SCALAR_EVENT:
		return on_scalar(b, event);
	case YAML_ALIAS_EVENT:
		return on_alias(b, event);
	case YAML_MAPPING_START_EVENT:
		return on_start(b, event, NODE_MAP);
	case YAML_SEQUENCE_START_EVENT:
		return on_start(b, event, NODE_SEQ);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		b->depth--;
		return 0;
	case YAML_STREAM_END_EVENT:
		return 1;
	default:
		return 0;
	}
}

/* Whether a line, as libyaml sees lines, begins at p. */
static bool at_line_start(const char *start, const char *p)
{
	size_t n = (size_t)(p - start);

	return !n || p[-1] == '\n' || p[-1] == '\r' || (n >= 2 && !memcmp(p - 2, "\xc2\x85", 2)) ||
	       (n >= 3 && (!memcmp(p - 3, "\xe2\x80\xa8", 3) || !memcmp(p - 3, "\xe2\x80\xa9", 3) ||
			   !memcmp(p - 3, BOM, 3)));
}

/* libyaml is quadratic in the number of %TAG lines, so they don't get that far. */
static int refuse_directives(const struct source *source, struct diags *diags)
{
	const char *start = source->text, *end = start + source->len;
	struct mark mark = { source, 1, 1, 0 };

	for (const char *p = start; (p = memchr(p, '%', (size_t)(end - p))); p++) {
		if (!at_line_start(start, p))
			continue;
		for (const char *q = start; q < p; q++)
			mark.line += *q == '\n';
		while (p < end && (unsigned char)*p++ > ' ')
			mark.length++;
		diag_error(diags, mark,
			   "a line that begins with '%%' is a YAML directive; none is taken");
		diag_help(diags, "delete the line");
		return -1;
	}
	return 0;
}

/* Parses the text, whose marks are those of the source. An empty one is an empty value. */
static struct node *parse(struct arena *arena, const struct source *source, const char *text,
			  size_t len, struct diags *diags)
{
	struct builder b = { .arena = arena, .source = source, .diags = diags };
	int ret = 0;

	if (refuse_directives(source, diags))
		return NULL;
	if (!yaml_parser_initialize(&b.parser)) {
		arena->failed = true;
		return NULL;
	}
	yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&b.parser, (const unsigned char *)text, len);
	while (!ret) {
		yaml_event_t event;

		if (!yaml_parser_parse(&b.parser, &event)) {
			yaml_error_report(&b.parser, source, diags);
			ret = -1;
			break;
		}
		ret = on_event(&b, &event);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&b.parser);
	if (ret < 0 || arena->failed)
		return NULL;
	if (b.root)
		return b.root;
	b.root = node_new(arena, NODE_SCALAR, (struct mark){ .source = source });
	if (b.root) {
		b.root->text = (char *)"";
		b.root->plain = true;
	}
	return b.root;
}

struct node *tree_parse(struct arena *arena, const struct source *source, struct diags *diags)
{
	size_t bom = source->len >= 3 && !memcmp(source->text, BOM, 3) ? 3 : 0;
	struct node *root = parse(arena, source, source->text + bom, source->len - bom, diags);

	if (!root)
		return NULL;
	if (node_is_null(root)) {
		diag_error(diags, (struct mark){ .source = source }, "the file is empty");
		diag_help(
			diags,
			"a config has at least `boot:`, such as `boot: {elf: {file: guest.elf}}`");
		return NULL;
	}
	return root;
}

struct node *tree_parse_rest(struct arena *arena, const struct source *source, size_t offset,
			     struct diags *diags)
{
	char *text = arena_copy(arena, source->text, source->len);
	size_t blanks = 0;

	if (!text)
		return NULL;
	/* A blank for each character before it, so that columns are those of the whole. */
	for (size_t i = 0; i < offset; i++)
		blanks += ((unsigned char)text[i] & 0xc0) != 0x80;
	memset(text + offset - blanks, ' ', blanks);
	return parse(arena, source, text + offset - blanks, source->len - offset + blanks, diags);
}
