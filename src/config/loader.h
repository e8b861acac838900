/* loader.h: what the parts of the loader share. Private to src/config.
 *
 * The way of a file: file.c reads it, tree.c makes nodes of it, (issue 3: composition with other
 * files, --set and variables works on the nodes,) normalise.c and value.c check every node by the
 * rows and write down its canonical text, typed.c has libcyaml load that into the C structs.
 *
 * Out of memory is sticky: the arena remembers it, everybody else gets by without the object, and
 * load.c gives up at the end.
 */
#ifndef VIBEVMM_CONFIG_LOADER_H
#define VIBEVMM_CONFIG_LOADER_H

#include <vibevmm/config.h>
#include <vibevmm/registry.h>

/* ---- arena.c: memory that lives as long as the config -------------------------------------- */

struct arena {
	struct chunk *chunks; /* the newest first */
	bool failed;	      /* an allocation failed */
};

/* Zeroed, aligned for any type; NULL (and arena->failed) when out of memory. */
void *arena_alloc(struct arena *arena, size_t size);
char *arena_copy(struct arena *arena, const char *text, size_t len);
char *arena_printf(struct arena *arena, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void arena_free(struct arena *arena);

/* ---- file.c -------------------------------------------------------------------------------- */

#define FILE_MAX_SIZE (1u << 20)

/* Reads a regular file ("-": standard input) of at most max bytes into *source; its text is
 * malloc'ed, NUL-terminated, and holds no NUL and only UTF-8. source->name must be set before.
 * `what` names the file's purpose in messages ("a config"). -errno after a diagnostic; a file that
 * isn't there gives -ENOENT, without a diagnostic if `optional`. */
int file_read(const char *path, const char *what, size_t max, bool optional, struct source *source,
	      struct diags *diags);

/* Checks a text for bytes that are not UTF-8 and for NULs. 0, or -EINVAL after a diagnostic. */
int file_check_text(const struct source *source, struct diags *diags);

/* ---- node.c -------------------------------------------------------------------------------- */

struct node *node_new(struct arena *arena, enum node_kind kind, struct mark mark);

/* Appends; false when out of memory. Children of maps get their key before. */
bool node_add(struct arena *arena, struct node *parent, struct node *child);

/* An empty plain scalar, `~` or `null`. */
bool node_is_null(const struct node *node);

/* "a list", "a mapping", "a single value" */
const char *node_kind_name(const struct node *node);

/* ---- tree.c, yaml_error.c ------------------------------------------------------------------ */

#define TREE_MAX_DEPTH 32
#define TREE_MAX_KEYS  256 /* of one mapping */

/* The tree of a YAML text, or NULL after a diagnostic. What is refused but understood (an alias, a
 * duplicate key) is reported and leaves a node marked bad. */
struct node *tree_parse(struct arena *arena, const struct source *source, struct diags *diags);

/* Reports libyaml's error. The parser is a yaml_parser_t. */
void yaml_error_report(const void *parser, const struct source *source, struct diags *diags);

/* ---- number.c ------------------------------------------------------------------------------ */

/* What the user may have meant by a number that config_number refuses: "write 10 or 0x8". False if
 * there is no guess. */
bool number_hint(enum option_kind kind, const char *text, char *buf, size_t len);

/* A value as a user would write it, in hex if wanted (as addresses always are). */
const char *number_text(enum option_kind kind, uint64_t value, bool hex, char *buf, size_t len);

/* Whether the user wrote it in hex. */
static inline bool number_is_hex(const char *text)
{
	return text[0] == '0' && text[1] == 'x';
}

#define NUMBER_TEXT_MAX 32

/* ---- vm_type.c ----------------------------------------------------------------------------- */

/* The tables that one-key choices choose from. */
enum choice_table { TABLE_MEMORY, TABLE_BOOT, TABLE_DEVICES, TABLE_COUNT };

struct choices {
	const char *noun;		  /* "device" */
	const struct config_type **types; /* n of them; the index is config_choice.index */
	uint32_t n;
	bool listed; /* an error's help text has named them all */
};

/* The table that a row of kind OPTION_CHOICE or OPTION_CHOICES of the top level means. */
enum choice_table vm_choice_table(const struct option *option);

/* ---- load.c -------------------------------------------------------------------------------- */

/* The entries of one table that the file has and that are good. */
struct choice_list {
	struct node **entries; /* each a mapping with one key */
	uint32_t *positions;   /* in the user's list */
	uint32_t n;
};

struct config {
	struct arena arena;
	struct source source;
	const char *directory; /* that paths are relative to: "" or with a '/' at its end */
	const struct config_settings *settings;
	struct diags *diags;
	struct choices choices[TABLE_COUNT];
	enum arch arch;
	struct node *root;
	struct choice_list lists[TABLE_COUNT];
	struct typed *typed;  /* what libcyaml loaded */
	struct vm_config *vm; /* inside of it */
};

/* Is this a name that `backend:` may have? */
bool config_backend_known(const char *name);

/* Puts "auto" and the names of this build's backends into words, NULL-terminated; at most max. */
void config_backend_words(const char **words, size_t max);
#define BACKEND_WORDS_MAX 16

/* A user's text for use in a message: cut if it is long. */
const char *config_shown(struct config *config, const char *text);

/* ---- normalise.c, choice.c, value.c -------------------------------------------------------- */

/* Checks config->root by the rows, inserts defaults, sets canon, marks what is bad, and fills
 * config->lists. */
void config_normalise(struct config *config);

/* The same for one mapping; true if it is good. */
bool normalise_map(struct config *config, struct node *node, const struct config_type *type);

/* The same for the value of an OPTION_CHOICE or OPTION_CHOICES, which is not a scalar with a text
 * in the latter case. Fills its config->lists entry. */
bool choice_check(struct config *config, const struct option *option, struct node *node);

/* Help texts for the last error: what a type takes; what a table has (only the first time). */
void option_help(struct config *config, const struct config_type *type);
void choice_help(struct config *config, struct choices *choices);

/* The row that a value belongs to: of rows with that key (alternatives, told apart by the value's
 * shape) the one that fits, else the first; NULL if the key is unknown. */
const struct option *option_match(const struct config_type *type, const struct node *value);

/* Whether the shape of the value (scalar, map, list) is the option's. */
bool option_takes(const struct option *option, const struct node *value);

/* Whether an unknown key of the mapping was reported as a misspelling of that option. */
bool option_misspelt(const struct config_type *type, const struct node *node, const char *key);

/* What an option takes, in words: "a size such as 64K". */
const char *option_expects(struct config *config, const struct option *option);

/* "'port' of uart16550"; "'vcpus'" at the top level. */
const char *option_label(struct config *config, const struct config_type *type, const char *key);

/* The comma-separated list "a, b, c" of words. */
const char *config_word_list(struct config *config, const char *const *words);

/* Where to point for an error in a value: at its key if there is nothing to see of it. */
struct mark node_place(const struct node *node);

/* Checks a scalar and sets its canon. After an error it is bad, and canon is the default's. */
bool value_check(struct config *config, const struct config_type *type, const struct option *option,
		 struct node *node);

/* ---- text.c -------------------------------------------------------------------------------- */

struct text {
	char *p;
	size_t len, cap;
	bool failed;
};

void text_add(struct text *text, const char *s, size_t len);
static inline void text_adds(struct text *text, const char *s)
{
	text_add(text, s, __builtin_strlen(s));
}

/* In double quotes and escaped so that any YAML 1.1 reader gets the same characters. */
void text_add_quoted(struct text *text, const char *s, size_t len);

/* ---- typed.c ------------------------------------------------------------------------------- */

/* Loads the normalised tree into C structs; sets config->typed and config->vm. 0 or -errno after a
 * diagnostic. */
int typed_load(struct config *config);

#endif
