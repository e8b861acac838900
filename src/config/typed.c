/* typed.c: from the normalised tree to C structs, by libcyaml.
 *
 * The tree is written out as canonical text, everything in double quotes and all numbers decimal,
 * so that libcyaml's lenient readers meet nothing to be lenient about. Its schema is made of the
 * option rows. The text is
 *
 *     {"vm": {"vcpus": "2", ...},
 *      "memory": [...], "boot": [...], "devices": [{"uart16550": {"port": "1016"}}, ...]}
 *
 * In the three tables an entry is an array of pointers, one for each type; the one that is not
 * NULL tells the type.
 */
#include <assert.h>
#include <cyaml/cyaml.h>
#include <errno.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vibevmm/bytes.h>

#include "loader.h"

static const char *const table_keys[TABLE_COUNT] = {
	[TABLE_MEMORY] = "memory",
	[TABLE_BOOT] = "boot",
	[TABLE_DEVICES] = "devices",
};

struct typed {
	struct vm_config vm;
	struct {
		void **slots; /* n entries of choices.n pointers */
		uint32_t n;
	} tables[TABLE_COUNT];
};

/* ---- The schema -------------------------------------------------------------------------- */

static const cyaml_schema_field_t *fields_of(struct arena *arena, const struct config_type *type);

/* A row that lies about its member would have libcyaml write where it shouldn't. */
static void assert_row(const struct config_type *type, const struct option *option)
{
	size_t size = option->size;

	assert(option->offset <= type->size && size <= type->size - option->offset);
	switch (option->kind) {
	case OPTION_BOOL:
		assert(size == sizeof(bool));
		break;
	case OPTION_UINT:
		assert(size == 1 || size == 2 || size == 4 || size == 8);
		break;
	case OPTION_IRQ:
	case OPTION_ENUM:
		assert(size == 4);
		break;
	case OPTION_MAP:
		assert(size == option->type->size);
		break;
	case OPTION_MAPS:
		assert(size == sizeof(struct config_maps));
		break;
	default:
		assert(size == 8);
	}
}

/* An entry of an OPTION_MAPS. */
static const cyaml_schema_value_t *entry_map(struct arena *arena, const struct config_type *type)
{
	cyaml_schema_value_t *entry = arena_alloc(arena, sizeof(*entry));

	if (entry)
		*entry = (cyaml_schema_value_t){ .type = CYAML_MAPPING,
						 .data_size = (uint32_t)type->size,
						 .mapping.fields = fields_of(arena, type) };
	return entry;
}

static cyaml_schema_value_t value_of(struct arena *arena, const struct option *option)
{
	cyaml_schema_value_t value = { .flags = CYAML_FLAG_OPTIONAL,
				       .data_size = (uint32_t)option->size };

	switch (option->kind) {
	case OPTION_BOOL:
		value.type = CYAML_BOOL;
		break;
	case OPTION_STRING:
	case OPTION_PATH:
		value.type = CYAML_STRING;
		value.flags |= CYAML_FLAG_POINTER;
		value.data_size = 1;
		value.string.max = CYAML_UNLIMITED;
		break;
	case OPTION_MAP:
		value.type = CYAML_MAPPING;
		value.mapping.fields = fields_of(arena, option->type);
		break;
	case OPTION_MAPS:
		value.type = CYAML_SEQUENCE;
		value.flags |= CYAML_FLAG_POINTER;
		value.data_size = (uint32_t)option->type->size;
		value.sequence.entry = entry_map(arena, option->type);
		value.sequence.max = CYAML_UNLIMITED;
		break;
	default:
		value.type = CYAML_UINT;
	}
	return value;
}

static bool is_choice(const struct option *option)
{
	return option->kind == OPTION_CHOICE || option->kind == OPTION_CHOICES;
}

static const cyaml_schema_field_t *fields_of(struct arena *arena, const struct config_type *type)
{
	cyaml_schema_field_t *fields;
	size_t n = 0;

	for (const struct option *o = type->options; o && o->key; o++)
		n++;
	fields = arena_alloc(arena, (n + 1) * sizeof(*fields));
	n = 0;
	for (const struct option *o = type->options; fields && o && o->key; o++) {
		if (is_choice(o))
			continue;
		assert_row(type, o);
		fields[n++] = (cyaml_schema_field_t){
			.key = o->key,
			.data_offset = (uint32_t)o->offset,
			.value = value_of(arena, o),
		};
		if (o->kind == OPTION_MAPS) {
			fields[n - 1].count_offset =
				(uint32_t)(o->offset + offsetof(struct config_maps, n));
			fields[n - 1].count_size = sizeof(uint32_t);
		}
	}
	return fields;
}

/* An entry of a table: one optional pointer for each type. */
static const cyaml_schema_value_t *entry_of(struct arena *arena, const struct choices *choices)
{
	cyaml_schema_value_t *entry = arena_alloc(arena, sizeof(*entry));
	cyaml_schema_field_t *fields = arena_alloc(arena, (choices->n + 1) * sizeof(*fields));

	if (!entry || !fields)
		return NULL;
	for (uint32_t i = 0; i < choices->n; i++) {
		const struct config_type *type = choices->types[i];

		assert(type->size >= 1 && type->size <= UINT32_MAX);
		fields[i] = (cyaml_schema_field_t){
			.key = type->name,
			.data_offset = i * (uint32_t)sizeof(void *),
			.value = { .type = CYAML_MAPPING,
				   .flags = CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER,
				   .data_size = (uint32_t)type->size,
				   .mapping.fields = fields_of(arena, type) },
		};
	}
	*entry = (cyaml_schema_value_t){
		.type = CYAML_MAPPING,
		.data_size = choices->n * (uint32_t)sizeof(void *),
		.mapping.fields = fields,
	};
	return entry;
}

static const cyaml_schema_value_t *schema_of(struct config *config)
{
	struct arena *arena = &config->arena;
	cyaml_schema_value_t *schema = arena_alloc(arena, sizeof(*schema));
	cyaml_schema_field_t *fields = arena_alloc(arena, (TABLE_COUNT + 2) * sizeof(*fields));
	size_t n = 0;

	if (!schema || !fields)
		return NULL;
	fields[n++] = (cyaml_schema_field_t){
		.key = "vm",
		.data_offset = offsetof(struct typed, vm),
		.value = { .type = CYAML_MAPPING,
			   .data_size = sizeof(struct vm_config),
			   .mapping.fields = fields_of(arena, config_vm_type()) },
	};
	for (unsigned i = 0; i < TABLE_COUNT; i++) {
		const cyaml_schema_value_t *entry;

		if (!config->lists[i].n)
			continue;
		entry = entry_of(arena, &config->choices[i]);
		if (!entry)
			return NULL;
		fields[n++] = (cyaml_schema_field_t){
			.key = table_keys[i],
			.data_offset = (uint32_t)offsetof(struct typed, tables[i].slots),
			.count_offset = (uint32_t)offsetof(struct typed, tables[i].n),
			.count_size = sizeof(uint32_t),
			.value = { .type = CYAML_SEQUENCE,
				   .flags = CYAML_FLAG_POINTER,
				   .data_size = entry->data_size,
				   .sequence = { entry, 0, CYAML_UNLIMITED } },
		};
	}
	*schema = (cyaml_schema_value_t){
		.type = CYAML_MAPPING,
		.flags = CYAML_FLAG_POINTER,
		.data_size = sizeof(struct typed),
		.mapping.fields = fields,
	};
	return arena->failed ? NULL : schema;
}

/* ---- The canonical text ------------------------------------------------------------------ */

/* Line ends keep libyaml's search for a simple key's ':' short. */
static void emit_key(struct text *text, const char *key)
{
	text_add_quoted(text, key, strlen(key));
	text_adds(text, ": ");
}

static void emit_map(struct text *text, const struct config_type *type, const struct node *map);

static void emit_maps(struct text *text, const struct config_type *type, const struct node *list)
{
	text_adds(text, "[\n");
	for (uint32_t i = 0; i < list->n_children; i++) {
		emit_map(text, type, list->children[i]);
		text_adds(text, ",\n");
	}
	text_adds(text, "]");
}

/* What was reported to be no mapping has no options: it stands for an empty one, so that the
 * entries behind it keep their places. */
static void emit_map(struct text *text, const struct config_type *type, const struct node *map)
{
	uint32_t n = map->kind == NODE_MAP ? map->n_children : 0;

	text_adds(text, "{\n");
	for (uint32_t i = 0; i < n; i++) {
		const struct node *child = map->children[i];
		const struct option *option = option_match(type, child);

		if (!option || is_choice(option) || !option_takes(option, child))
			continue;
		if (option->kind == OPTION_MAP) {
			emit_key(text, child->key);
			emit_map(text, option->type, child);
			text_adds(text, ",\n");
		} else if (option->kind == OPTION_MAPS) {
			emit_key(text, child->key);
			emit_maps(text, option->type, child);
			text_adds(text, ",\n");
		} else if (child->canon) {
			emit_key(text, child->key);
			text_add_quoted(text, child->canon, strlen(child->canon));
			text_adds(text, ",\n");
		}
	}
	text_adds(text, "}");
}

static const struct config_type *type_named(const struct choices *choices, const char *name,
					    uint32_t *index)
{
	for (*index = 0; *index < choices->n; ++*index) {
		if (!strcmp(choices->types[*index]->name, name))
			return choices->types[*index];
	}
	return NULL; /* not reached: normalise.c looked it up */
}

static void emit(struct config *config, struct text *text)
{
	text_adds(text, "{");
	emit_key(text, "vm");
	emit_map(text, config_vm_type(), config->root);
	for (unsigned i = 0; i < TABLE_COUNT; i++) {
		const struct choice_list *list = &config->lists[i];

		if (!list->n)
			continue;
		text_adds(text, ",\n");
		emit_key(text, table_keys[i]);
		text_adds(text, "[\n");
		for (uint32_t k = 0; k < list->n; k++) {
			const struct node *options = list->entries[k]->children[0];
			uint32_t index;

			text_adds(text, "{");
			emit_key(text, options->key);
			emit_map(text, type_named(&config->choices[i], options->key, &index),
				 options);
			text_adds(text, "},\n");
		}
		text_adds(text, "]");
	}
	text_adds(text, "}\n");
}

/* ---- libcyaml's complaints --------------------------------------------------------------- */

/* There should be none. If one comes, its backtrace, read as a path, leads to the node; its own
 * positions are those of the canonical text, and wrong for some errors even there. */
#define MAX_STEPS 8

struct complaint {
	char text[200]; /* the first error that it logs */
	struct {
		char key[64]; /* of a mapping, or "" */
		unsigned entry;
	} steps[MAX_STEPS]; /* innermost first */
	unsigned n;
};

static void on_log(cyaml_log_t level, void *ctx, const char *fmt, va_list ap)
{
	struct complaint *complaint = ctx;
	char line[200], key[64];
	unsigned entry;

	if (level < CYAML_LOG_ERROR)
		return;
	vsnprintf(line, sizeof(line), fmt, ap);
	line[strcspn(line, "\n")] = 0;
	if (!complaint->text[0]) {
		memcpy(complaint->text, line, sizeof(line));
	} else if (complaint->n < MAX_STEPS &&
		   sscanf(line, " in mapping field '%63[^']'", key) == 1) {
		memcpy(complaint->steps[complaint->n++].key, key, sizeof(key));
	} else if (complaint->n < MAX_STEPS &&
		   sscanf(line, " in sequence entry '%u'", &entry) == 1) {
		complaint->steps[complaint->n].key[0] = 0;
		complaint->steps[complaint->n++].entry = entry;
	}
}

/* As far as the path leads. */
static const struct node *follow(const struct config *config, const struct complaint *complaint)
{
	const struct node *node = config->root, *next;
	const struct choice_list *list = NULL;
	unsigned i = complaint->n;

	if (i--) {
		for (unsigned t = 0; t < TABLE_COUNT; t++) {
			if (!strcmp(complaint->steps[i].key, table_keys[t]))
				list = &config->lists[t];
		}
	}
	if (list && complaint->n > 1 && !complaint->steps[i - 1].key[0]) {
		unsigned entry = complaint->steps[--i].entry;

		if (entry >= 1 && entry <= list->n)
			node = list->entries[entry - 1];
	}
	while (complaint->n && i-- > 0) {
		next = node_get(node, complaint->steps[i].key);
		if (!next)
			break;
		node = next;
	}
	return node;
}

static int report(struct config *config, const struct complaint *complaint, cyaml_err_t error)
{
	if (error == CYAML_ERR_OOM) {
		diag_error(config->diags, (struct mark){ .source = &config->top->source },
			   "out of memory");
		return -ENOMEM;
	}
	diag_error(config->diags, node_place(follow(config, complaint)), "%s (%s)",
		   complaint->text[0] ? complaint->text : "the typed loader refused it",
		   cyaml_strerror(error));
	diag_help(config->diags, "vibevmm's own checks should have caught this: please report it");
	return -EINVAL;
}

/* ---- Filling ----------------------------------------------------------------------------- */

static const struct config_choice *fill(struct config *config, unsigned table)
{
	const struct choices *choices = &config->choices[table];
	const struct choice_list *list = &config->lists[table];
	struct config_choice *out = arena_alloc(&config->arena, list->n * sizeof(*out));

	assert(config->typed->tables[table].n == list->n);
	for (uint32_t i = 0; out && i < list->n; i++) {
		const struct node *node = list->entries[i]->children[0];
		uint32_t index;

		out[i].type = type_named(choices, node->key, &index);
		out[i].index = index;
		out[i].options = config->typed->tables[table].slots[i * choices->n + index];
		out[i].node = node;
		out[i].mark = node->key_mark;
		out[i].position = list->positions[i];
		assert(out[i].options);
	}
	return out;
}

/* Memory for libcyaml, out of the arena: nothing is freed one by one. It grows the array of a
 * sequence with each entry, so blocks get room to grow, and know it. */
struct block {
	size_t cap;
	alignas(max_align_t) char data[];
};

static void *take_memory(void *ctx, void *ptr, size_t size)
{
	struct block *old =
		ptr ? (struct block *)((char *)ptr - offsetof(struct block, data)) : NULL;
	size_t cap = old ? 2 * size : size;
	struct block *block;

	if (!size || cap < size || cap > SIZE_MAX / 4)
		return NULL;
	if (old && size <= old->cap)
		return ptr;
	block = arena_alloc(ctx, sizeof(*block) + cap);
	if (!block)
		return NULL;
	block->cap = cap;
	if (old)
		memcpy(block->data, old->data, old->cap);
	return block->data;
}

int typed_load(struct config *config)
{
	const cyaml_schema_value_t *schema = schema_of(config);
	struct complaint complaint = { 0 };
	cyaml_data_t *data = NULL;
	struct text text = { 0 };
	const cyaml_config_t cyaml = {
		.log_fn = on_log,
		.log_ctx = &complaint,
		.log_level = CYAML_LOG_ERROR,
		.mem_fn = take_memory,
		.mem_ctx = &config->arena,
		.flags = CYAML_CFG_NO_ALIAS,
	};
	cyaml_err_t error;
	int ret = 0;

	emit(config, &text);
	if (!schema || text.failed) {
		ret = report(config, &complaint, CYAML_ERR_OOM);
		goto out;
	}
	error = cyaml_load_data((const uint8_t *)text.p, text.len, &cyaml, schema, &data, NULL);
	if (error != CYAML_OK) {
		ret = report(config, &complaint, error);
		goto out;
	}
	config->typed = data;
	config->vm = &config->typed->vm;
	config->vm->memory = fill(config, TABLE_MEMORY);
	config->vm->n_memory = config->lists[TABLE_MEMORY].n;
	config->vm->boot = config->lists[TABLE_BOOT].n ? fill(config, TABLE_BOOT) : NULL;
	config->vm->devices = fill(config, TABLE_DEVICES);
	config->vm->n_devices = config->lists[TABLE_DEVICES].n;
out:
	free(text.p);
	return ret;
}
