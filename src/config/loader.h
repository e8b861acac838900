/* loader.h: what the parts of the loader share. Private to src/config.
 *
 * The way of a file: layer.c has it read by file.c and made into nodes by tree.c, with those that
 * it extends; compose.c lays one tree on the other, override.c and flags.c put in what the command
 * line says, variables.c fills in the variables; normalise.c and value.c check every node by the
 * rows and write down its canonical text, typed.c has libcyaml load that into the C structs.
 *
 * Out of memory is sticky: the arena remembers it, everybody else gets by without the object, and
 * load.c gives up at the end.
 */
#ifndef VIBEVMM_CONFIG_LOADER_H
#define VIBEVMM_CONFIG_LOADER_H

#include <sys/types.h>

#include <vibevmm/config.h>
#include <vibevmm/registry.h>

/* ---- arena.c: memory that lives as long as the config -------------------------------------- */

struct arena {
	struct chunk *chunks; /* the newest first */
	bool failed;	      /* an allocation failed */
	uint32_t nodes;	      /* how many node_new made */
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

/* Makes a node, and appends it under that key (NULL: to a list). NULL when out of memory. */
struct node *node_add_new(struct arena *arena, struct node *parent, const char *key,
			  enum node_kind kind, struct mark mark);

/* Puts a child in the place of another (NULL: at the end), or takes that away (child NULL). */
void node_put(struct arena *arena, struct node *parent, const struct node *before,
	      struct node *child);

/* An empty plain scalar, `~` or `null`. */
bool node_is_null(const struct node *node);

/* "a list", "a mapping", "a single value" */
const char *node_kind_name(const struct node *node);

/* ---- tree.c, yaml_error.c ------------------------------------------------------------------ */

/* They keep the worst file of 1 MiB within 64 MiB of memory. */
#define TREE_MAX_DEPTH	 32
#define TREE_MAX_KEYS	 256	/* of one mapping */
#define TREE_MAX_ENTRIES 16384	/* of one list */
#define TREE_MAX_NODES	 100000 /* of one config */

/* The tree of a YAML text, or NULL after a diagnostic. What is refused but understood (an alias, a
 * duplicate key) is reported and leaves a node marked bad. */
struct node *tree_parse(struct arena *arena, const struct source *source, struct diags *diags);

/* The tree of the rest of a text, from a byte offset on, which may be empty: then that is its
 * value. NULL after a diagnostic. */
struct node *tree_parse_rest(struct arena *arena, const struct source *source, size_t offset,
			     struct diags *diags);

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

/* ---- expect_type.c ------------------------------------------------------------------------- */

extern const struct config_type expect_type;

/* ---- load.c -------------------------------------------------------------------------------- */

/* The entries of one table that the file has and that are good. */
struct choice_list {
	struct node **entries; /* each a mapping with one key */
	uint32_t *positions;   /* in the user's list */
	uint32_t n;
};

/* A text that a part of the config is written in. */
struct layer {
	struct source source;		/* first: the source of its nodes' marks */
	const struct config_flag *flag; /* NULL: a file */
	const char *directory; /* that paths are relative to: "" or with a '/' at its end */
	struct mark extended;  /* where another file names this one; source NULL: nowhere */
	dev_t device;	       /* which file it is; both 0: unknown */
	ino_t inode;
	struct layer *next;
};

/* The layer of a node, by any of its marks. */
static inline const struct layer *layer_of(struct mark mark)
{
	return (const struct layer *)mark.source;
}

struct variable; /* variables.c */

struct config {
	struct arena arena;
	struct layer *layers; /* all of them */
	struct layer *top;    /* the file asked for, or what stands for it */
	unsigned n_files;     /* read so far, and their bytes */
	size_t file_bytes;
	struct variable *variables; /* of --define; the last one first */
	size_t expanded_bytes;	    /* what variables grew to so far */
	const struct config_settings *settings;
	bool tests; /* see config_request */
	struct diags *diags;
	struct choices choices[TABLE_COUNT];
	enum arch arch;
	struct node *root;
	const struct node *cases; /* once taken out of the tree; NULL: none */
	struct choice_list lists[TABLE_COUNT];
	struct typed *typed;  /* what libcyaml loaded */
	struct vm_config *vm; /* inside of it */
};

/* As far as the tree: the file and those that it extends, not the flags. Its root is NULL after a
 * diagnostic. */
struct config *config_read(const struct config_request *request, const struct registry *registry,
			   struct diags *diags);

/* Is this a name that `backend:` may have? */
bool config_backend_known(const char *name);

/* Puts "auto" and the names of all backends into words, NULL-terminated; at most max. */
void config_backend_words(const char **words, size_t max);
#define BACKEND_WORDS_MAX 16

/* A user's text for use in a message: cut if it is long. */
const char *config_shown(struct config *config, const char *text);

/* ---- layer.c ------------------------------------------------------------------------------- */

/* As deep as files may extend one another, and how much they may be together. */
#define LAYER_MAX_DEPTH 8
#define LAYER_MAX_FILES 64
#define LAYER_MAX_BYTES (2 * FILE_MAX_SIZE)

/* NULL when out of memory. The name is copied. */
struct layer *layer_new(struct config *config, const char *name, const struct config_flag *flag);

/* The tree of a file and of those that it extends; or of a text (malloc'ed: it becomes the layer's)
 * that stands for one. NULL after a diagnostic. */
struct node *layer_read(struct config *config, struct layer *layer, const char *path);
struct node *layer_take(struct config *config, struct layer *layer, const char *path, char *text,
			size_t len);

void layers_free(struct layer *layers);

/* ---- compose.c ----------------------------------------------------------------------------- */

/* Lays the mapping `over` on `base`, both of the top level. */
void compose(struct config *config, struct node *base, struct node *over);

/* Lays a value on that of the same key, and returns the one that holds. choices: what they choose
 * from, if they are one-key choices. */
struct node *compose_value(struct config *config, struct node *base, struct node *over,
			   struct choices *choices);

/* Appends the entries of `over` to a list (NULL: there is none yet), merging those whose id is in
 * it, and returns the list; NULL after a diagnostic. key: without the '+'. */
struct node *compose_append(struct config *config, struct node *list, struct node *over,
			    const char *key, struct choices *choices);

/* Resolves `key+` in a value with nothing below it. */
void compose_settle(struct config *config, struct node *node);

/* Explicitly null: what takes a key away. */
bool compose_removes(const struct node *node);

/* What a key of the top level chooses from, or what the entries of its list do; NULL: they don't.
 */
struct choices *compose_choice(struct config *config, const char *key);
struct choices *compose_entries(struct config *config, const char *key);

/* The id that a list's entry has among its options, or NULL. */
const char *compose_id(const struct node *entry);

/* ---- override.c, path.c -------------------------------------------------------------------- */

enum step_kind { STEP_KEY, STEP_INDEX, STEP_APPEND };

/* One step of a path such as devices[2].path. */
struct step {
	enum step_kind kind;
	const char *name;  /* STEP_KEY: NUL-terminated; otherwise the list's name in full */
	uint32_t index;	   /* STEP_INDEX */
	const char *shown; /* the path up to here, without this step */
	struct mark mark;
};

#define PATH_MAX_STEPS 16

/* Takes the first len bytes of the source's text apart, or a text that has one mark for all of it.
 * How many steps, or 0 after a diagnostic. */
size_t path_parse(struct config *config, const struct source *source, size_t len,
		  struct step *steps);
size_t path_parse_at(struct config *config, struct mark mark, const char *text, struct step *steps);

/* The entry of a list that a step names, or -1 after a diagnostic about what there is. */
int64_t path_entry(struct config *config, const struct node *list, const struct step *step);

/* The choice inside of an entry that a step may leave out: `devices.root.path` stands for
 * `devices.root.virtio-blk.path`. NULL if it doesn't. */
struct node *path_elided(const struct node *node, const struct choices *choices, const char *name,
			 bool last);

/* Applies --set PATH=VALUE. */
void override_set(struct config *config, struct layer *layer);

/* Sets a path, which stands at the mark, to a value. */
void override_node(struct config *config, struct mark mark, const char *path, struct node *value);

/* Sets a path to a text that is no YAML. */
void override_text(struct config *config, struct layer *layer, const char *path, const char *text);

/* ---- flags.c ------------------------------------------------------------------------------- */

/* Puts --define into config->variables: files that are extended may be named by them. */
void flags_define(struct config *config, const struct config_request *request);

/* Applies all other changes of the request, in their order. */
void flags_apply(struct config *config, const struct config_request *request);

/* What follows from flags once the variables are filled in and the arch is known. */
void flags_follow(struct config *config);

/* The name that --case gives, with its place, or NULL. */
const char *flags_case(const struct config *config, struct mark *mark);

/* ---- cases.c ------------------------------------------------------------------------------- */

/* Takes `cases` out of the tree, and puts the values of the case asked for into it. */
void cases_apply(struct config *config, const struct config_request *request);

/* ---- expected.c ---------------------------------------------------------------------------- */

/* Appends the devices that the boot format's guest counts on (boot_row.devices), and those in
 * ROLE_PCI and ROLE_MSI for devices on the PCI bus, as far as the config doesn't list them. */
void config_add_expected(struct config *config, const struct registry *registry);

/* Whether the config lists a device of that type. */
bool config_has_device(const struct config *config, const char *type);

/* ---- variables.c --------------------------------------------------------------------------- */

/* Takes NAME=VALUE in. */
void variables_define(struct config *config, struct layer *layer);

/* Sets a variable, whose name stands at the mark, to a value of the file. It hides others of that
 * name. */
void variables_set(struct config *config, struct mark mark, const char *name, struct node *value);

/* Fills in the variables of one scalar, or of a whole tree. What can't be is reported and bad. */
void variables_expand(struct config *config, struct node *node);
void variables_expand_all(struct config *config, struct node *node);

/* Warns about those of --define that nothing used. */
void variables_warn(struct config *config);

/* ---- normalise.c, choice.c, value.c -------------------------------------------------------- */

/* Checks config->root by the rows, inserts defaults, sets canon, marks what is bad, and fills
 * config->lists. */
void config_normalise(struct config *config);

/* The same for one mapping; true if it is good. */
bool normalise_map(struct config *config, struct node *node, const struct config_type *type);

/* The same for the value of an OPTION_CHOICE or OPTION_CHOICES, which is not a scalar with a text
 * in the latter case. Fills its config->lists entry. */
bool choice_check(struct config *config, const struct option *option, struct node *node);

/* `uart16550` and `uart16550:` become `uart16550: {}`. False when out of memory. */
bool choice_expand_bare(struct config *config, struct node *node);

/* The index of a name in its table, or -1. */
int choice_find(const struct choices *choices, const char *name);

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

/* A word that an OPTION_BOOL takes for false. */
bool value_is_false(const char *text);

/* The same for an OPTION_STRING with a form of its own (form.c). */
bool form_check(struct config *config, const struct config_type *type, const struct option *option,
		struct node *node);

/* Gives options that are written with a former key their present one, with a warning (renamed.c).
 */
void option_rename(struct config *config, const struct config_type *type, struct node *node);

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

/* ---- print.c ------------------------------------------------------------------------------- */

/* A good scalar, with YAML's quotes where it needs them if `yaml`; relative paths are those of the
 * directory (NULL: they stay so). */
void print_value(struct text *text, const char *directory, const struct option *option,
		 const struct node *node, bool yaml);

/* ---- typed.c ------------------------------------------------------------------------------- */

/* Loads the normalised tree into C structs; sets config->typed and config->vm. 0 or -errno after a
 * diagnostic. */
int typed_load(struct config *config);

#endif
