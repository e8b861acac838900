/* config.h: from YAML text to a typed, positioned configuration.
 *
 * Stage 1 of 4 (load). It reads the YAML files named and opens nothing else. Options are described
 * by rows; there is no second place for a key, a default or a range. One thread at a time.
 */
#ifndef VIBEVMM_CONFIG_H
#define VIBEVMM_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <vibevmm/backend.h>
#include <vibevmm/diag.h>

struct registry; /* registry.h */

/* ---- Option rows ------------------------------------------------------------------------- */

enum option_kind {
	OPTION_BOOL,	 /* true, false, yes, no, on, off          -> bool */
	OPTION_UINT,	 /* decimal or 0x, '_' between digits      -> uint32_t or uint64_t */
	OPTION_SIZE,	 /* the same with K M G T, KiB MiB GiB TiB -> uint64_t, bytes */
	OPTION_ADDR,	 /* as OPTION_SIZE, printed in hex         -> uint64_t */
	OPTION_IRQ,	 /* a line number, or `none`               -> uint32_t, OPTION_IRQ_NONE */
	OPTION_DURATION, /* a number with ms, s or m               -> uint64_t, nanoseconds */
	OPTION_STRING,	 /*                                        -> char *, NULL when absent */
	OPTION_PATH, /* relative to the file that names it     -> char *, joined to its directory */
	OPTION_ENUM, /* one of .words                          -> uint32_t, index into .words */
	OPTION_MAP,  /* a mapping with options of its own      -> the struct of .type, inline */
	OPTION_CHOICE,	/* one one-key mapping out of a table     -> struct config_choice * */
	OPTION_CHOICES, /* a sequence of them                     -> struct config_choice *,
			   uint32_t. The tables (memory kinds, boot formats, devices) are the
			   top level's: see src/config/vm_type.c */
};

#define OPTION_IRQ_NONE UINT32_MAX

struct config_type;

/* One key of a mapping. The row is bound to a member of the C struct that holds the value. */
struct option {
	bool planned; /* unless given, the planner decides: the default isn't printed */
	const char *key;
	enum option_kind kind;
	size_t offset, size; /* of the member; use OPTION() */
	unsigned arches;     /* enum arch bits where the option exists; 0: everywhere */
	bool required;
	const char *def;	  /* as a user would write it; NULL: none (the member is 0) */
	uint64_t min, max, align; /* for numbers, after units; max 0: no limit but the member's;
				   * align 0: none. For strings: length in bytes */
	const char *const *words; /* OPTION_ENUM: NULL-terminated */
	const struct config_type *type; /* OPTION_MAP */
	const char *doc;		/* one sentence without a full stop */
};

/* OPTION(struct uart16550_config, baud, OPTION_UINT, .def = "115200", .doc = "...") */
#define OPTION(st, member, k, ...)                                                                 \
	{                                                                                          \
		.key = #member, .kind = (k), .offset = offsetof(st, member),                       \
		.size = sizeof(((st *)0)->member), __VA_ARGS__                                     \
	}

/* A mapping: what a one-key choice (a device, a boot format, a memory kind) or OPTION_MAP holds. */
struct config_type {
	const char *name;
	const char *doc;
	const struct option *options; /* ends with a row whose key is NULL; may itself be NULL */
	size_t size; /* of the C struct that the options are bound to; at least 1 */
};

/* ---- The tree: YAML with positions ------------------------------------------------------- */

enum node_kind { NODE_SCALAR, NODE_MAP, NODE_SEQ };

/* A value. Children of a map carry their key. All memory belongs to the config. */
struct node {
	enum node_kind kind;
	bool is_default; /* not written by the user: it comes from the row's default */
	bool bad;	 /* an error was reported inside; later stages leave it out */
	bool plain;	 /* NODE_SCALAR: written without quotes, so that it may be a null */
	char *key;	 /* for a child of a map */
	char *text;	 /* NODE_SCALAR: as written; length in bytes excludes the NUL behind it */
	size_t len;
	const char *canon;	/* NODE_SCALAR: as the typed loader reads it, e.g. decimal */
	struct mark key_mark;	/* of the key; for sequence entries and the root: of the value */
	struct mark mark;	/* of the value */
	struct node **children; /* in the order of the file */
	uint32_t n_children;
	uint32_t cap_children;
};

/* The child with that key, or NULL; node may be NULL or any kind. */
struct node *node_get(const struct node *node, const char *key);

/* A path like "devices[2].virtio-blk.path" from root, or NULL. */
struct node *node_find(const struct node *root, const char *path);

/* ---- Numbers as the user writes them ----------------------------------------------------- */

/* Parse text strictly by kind (OPTION_UINT, _SIZE, _ADDR, _IRQ, _DURATION). 0 with *value, or
 * -EINVAL/-ERANGE with `why`, a static sentence that also tells what to write instead. Pure. */
int config_number(enum option_kind kind, const char *text, uint64_t *value, const char **why);

/* Writes a size the way a user would ("64K", "1G", "4097"); buf of at least 24 bytes. */
const char *config_size_text(uint64_t size, char *buf, size_t len);

/* The word of `words` (NULL-terminated) nearest to text, for "did you mean"; NULL if none is near.
 */
const char *config_nearest(const char *text, const char *const *words);

/* ---- The typed configuration ------------------------------------------------------------- */

/* One entry of a choice: which row it names, and its options as the row's C struct. */
struct config_choice {
	uint32_t index; /* of the row in its table */
	const struct config_type *type;
	const void *options;	 /* the struct that type->options are bound to */
	const struct node *node; /* the mapping of options; marks of keys and values are in it */
	struct mark mark;	 /* of the row's name */
	uint32_t position;	 /* index in the user's sequence: devices[position] */
};

enum memory_kind { MEMORY_RAM, MEMORY_ROM, MEMORY_RESERVED, MEMORY_HOLE };

struct memory_ram {
	uint64_t at, size;
};

struct memory_rom {
	uint64_t at, size; /* size 0: the file's, rounded up to 4 KiB */
	char *file;
};

enum reset_action { RESET_FAIL, RESET_EXIT };

/* `irqchip: auto|none|split|full`: see platform options. */
enum platform_irqchip { IRQCHIP_AUTO, IRQCHIP_NONE, IRQCHIP_SPLIT, IRQCHIP_FULL };

struct platform_config {
	uint32_t irqchip; /* enum platform_irqchip */
	bool pit;
};

/* The whole of a VM file. Strings and structs belong to the config. */
struct vm_config {
	char *name;
	enum arch arch;
	char *backend; /* "auto" or a backend's name */
	uint32_t vcpus;
	uint64_t memory_size;		    /* `memory: SIZE`; 0 if a map is given */
	const struct config_choice *memory; /* `memory:` as a map; type index is enum memory_kind */
	uint32_t n_memory;
	bool memory_bad; /* errors were reported: checks against RAM make no sense */
	const struct config_choice *boot; /* NULL when absent or bad */
	bool boot_bad;
	const struct config_choice *devices; /* good ones only, in order */
	uint32_t n_devices;
	struct platform_config platform;
	uint32_t on_reset;	 /* enum reset_action */
	const struct node *root; /* normalised tree, for positions */
};

struct config; /* the arena, the sources, the typed structs */

/* Defaults that come from outside the file: vibevmm.ini. Strings belong to the settings. */
struct config_settings {
	char *backend;	 /* NULL: not set */
	char *log_level; /* NULL: not set */
	char *images;	 /* colon-separated directories; NULL: not set */
	char *file;	 /* where they come from, for messages; NULL: none */
};

/* Reads $XDG_CONFIG_HOME/vibevmm/vibevmm.ini (default ~/.config), else /etc/vibevmm/vibevmm.ini;
 * having neither is fine. Mistakes go to diags with file and line. Free with
 * config_settings_free. */
void config_settings_load(struct config_settings *settings, struct diags *diags);
void config_settings_free(struct config_settings *settings);

/* Loads a file ("-" is standard input), normalises it by the rows of the registry and fills the
 * typed structs. Errors go to diags; loading goes on after them, leaving bad parts out, so that
 * later stages can report theirs in the same run. settings may be NULL. Returns NULL only if
 * nothing at all could be loaded (the reason is in diags). */
struct config *config_load(const char *path, const struct registry *registry,
			   const struct config_settings *settings, struct diags *diags);

/* The same from a text in memory; name stands for the file in messages. */
struct config *config_load_text(const char *name, const char *text, size_t len,
				const struct registry *registry,
				const struct config_settings *settings, struct diags *diags);

void config_free(struct config *config);

const struct vm_config *config_vm(const struct config *config);

/* Prints the effective configuration, defaults and all, as YAML that loads back to the same VM.
 * Paths are printed absolute, so that the output works in any directory. */
void config_print(const struct config *config, FILE *out);

/* The row of the file's top level, for `devices`, schema and manual pages. */
const struct config_type *config_vm_type(void);

/* The memory kinds, by enum memory_kind; *n is how many. */
const struct config_type *const *config_memory_types(size_t *n);

#endif
