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
	OPTION_MAPS, /* a sequence of mappings with options       -> struct config_maps */
	OPTION_CHOICE,	/* one one-key mapping out of a table     -> struct config_choice * */
	OPTION_CHOICES, /* a sequence of them                     -> struct config_choice *,
			   uint32_t. The tables (memory kinds, boot formats, devices) are the
			   top level's: see src/config/vm_type.c */
};

#define OPTION_IRQ_NONE UINT32_MAX

/* What an OPTION_STRING must be, beyond its length. */
enum option_text {
	TEXT_ANY,
	TEXT_MAC,     /* a station's address, "52:54:00:12:34:56": not multicast, not zero; the
		       * planner refuses one that is used twice. The value is in lower case */
	TEXT_IFNAME,  /* the name of a network interface of the host */
	TEXT_REGEX,   /* a POSIX extended regular expression */
	TEXT_UUID,    /* 8-4-4-4-12 hexadecimal digits (RFC 4122, 3) */
	TEXT_EXIT,    /* how a VM ends: a status from 0 to 63, or one of config_exit_words */
	TEXT_BACKEND, /* the name of a backend, or auto */
	TEXT_PCI,     /* a PCI function of the host, "0000:01:00.0": the planner refuses one that is
		       * used twice. The value has its domain, and is in lower case */
};

/* An OPTION_PATH that is a disk image, for the planner: it is a regular file or a block device,
 * readable, writable unless one of these bool options is true, and as long as a multiple of that
 * option's value. Two disks of a VM may be one file only if neither is written. */
struct option_disk {
	const char *unwritten_if[3]; /* keys; NULL: no more */
	const char *sector;	     /* key; NULL: none */
	const char *format; /* key of an OPTION_ENUM: if not 0, the file is longer or shorter than
			     * the disk in it; NULL: none */
};

struct config_type;

/* One key of a mapping. The row is bound to a member of the C struct that holds the value. */
struct option {
	bool planned; /* unless given, the planner decides: the default isn't printed */
	bool made;    /* OPTION_PATH: no file to read, but what a VM makes at run time: a socket */
	bool folder;  /* OPTION_PATH: a folder */
	bool of_ram;  /* OPTION_SIZE: a part of the VM's RAM, at most all of it */
	bool unique;  /* OPTION_STRING: no two devices of a VM may have the same */
	const char *key;
	enum option_kind kind;
	size_t offset, size; /* of the member; use OPTION() */
	unsigned arches;     /* enum arch bits where the option exists; 0: everywhere */
	bool required;
	const char *linux_only;	  /* not NULL: Linux hosts alone have it, of an OPTION_BOOL or _ENUM
				   * the values but the first; and what to do on others */
	const char *def;	  /* as a user would write it; NULL: none (the member is 0) */
	uint64_t min, max, align; /* for numbers, after units; max 0: no limit but the member's;
				   * align 0: none. For strings: length in bytes */
	const char *const *words; /* OPTION_ENUM: NULL-terminated */
	const struct config_type *type; /* OPTION_MAP, OPTION_MAPS */
	enum option_text text;		/* OPTION_STRING */
	const struct option_disk *disk; /* OPTION_PATH; NULL: no disk */
	const char *sample;		/* what examples write; NULL: the default, if any */
	const char *was;		/* a former key, still taken, with a warning; NULL: none */
	const char *doc;		/* one sentence without a full stop */
};

/* The value of an OPTION_MAPS: an array of n of the structs of .type; NULL if n is 0. */
struct config_maps {
	const void *list;
	uint32_t n;
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
	const char *canon; /* NODE_SCALAR: as the typed loader reads it, e.g. decimal */
	const char *from;  /* what its mark doesn't tell about its origin, in words; NULL */
	const struct node *replaced; /* the value of a lower layer, which this one hides; NULL */
	struct mark key_mark;	/* of the key; for sequence entries and the root: of the value */
	struct mark mark;	/* of the value */
	struct node **children; /* in the order of the file */
	uint32_t n_children;
	uint32_t cap_children;
};

/* The child with that key, or NULL; node may be NULL or any kind. */
struct node *node_get(const struct node *node, const char *key);

/* The same, if the user wrote it: a default's counts as none. */
const struct node *node_given(const struct node *node, const char *key);

/* A path like "devices[2].virtio-blk.path" from root, or NULL. */
struct node *node_find(const struct node *root, const char *path);

/* ---- Numbers as the user writes them ----------------------------------------------------- */

/* Parse text strictly by kind (OPTION_UINT, _SIZE, _ADDR, _IRQ, _DURATION). 0 with *value, or
 * -EINVAL/-ERANGE with `why`, a static sentence that also tells what to write instead. Pure. */
int config_number(enum option_kind kind, const char *text, uint64_t *value, const char **why);

/* Writes a size the way a user would ("64K", "1G", "4097"); buf of at least 24 bytes. */
const char *config_size_text(uint64_t size, char *buf, size_t len);

/* About as large, in a few digits for people to read ("23.5G", "812K"); buf as above. */
const char *config_size_rough(uint64_t size, char *buf, size_t len);

/* The word of `words` (NULL-terminated) nearest to text, for "did you mean"; NULL if none is near.
 */
const char *config_nearest(const char *text, const char *const *words);

/* The arguments of a "%s%s%s" that asks whether a near word was meant, if there is one. */
#define CONFIG_DID_YOU_MEAN(near)                                                                  \
	(near) ? "; did you mean '" : "", (near) ? (near) : "", (near) ? "'?" : ""

/* Ends of a VM other than a status, as a TEXT_EXIT names them. NULL-terminated. */
extern const char *const config_exit_words[];

/* Reads the text of a TEXT_MAC. 0, or -EINVAL with `why`, a static sentence. Pure. */
int config_mac(const char *text, uint8_t mac[6], const char **why);

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

enum reset_action { RESET_FAIL, RESET_EXIT, RESET_RESTART };

/* `irqchip: auto|none|split|full`: see platform options. */
enum platform_irqchip { IRQCHIP_AUTO, IRQCHIP_NONE, IRQCHIP_SPLIT, IRQCHIP_FULL };

/* `gic: auto|v2|v3` */
enum platform_gic { GIC_AUTO, GIC_V2, GIC_V3 };

struct platform_config {
	uint32_t irqchip; /* enum platform_irqchip */
	uint32_t gic;	  /* enum platform_gic */
	bool pmu, sve;
	bool pit;
	bool acpi; /* where the boot format looks for tables */
};

/* `topology:`; 0: the planner's choice. */
struct topology_config {
	uint32_t sockets, cores, threads;
};

/* `smbios:`: what the guest is told about its maker (DMTF DSP0134, 7.2, type 1). */
struct smbios_config {
	char *vendor, *product, *version, *serial, *uuid; /* NULL: none given */
};

/* An entry of `expect.console`: one of the first four is given. */
struct expect_step {
	char *contains, *matches, *absent, *send;
	char *after;	 /* of send; NULL: at once */
	uint64_t within; /* ns; 0: no limit of its own */
	char *on;	 /* NULL: standard output; for absent, all consoles */
	bool ready;
};

/* `expect:` */
struct expect_config {
	uint64_t within, boot_within; /* ns; 0: no limit */
	char *exit;		      /* TEXT_EXIT; NULL: see the row */
	struct config_maps console;   /* of struct expect_step */
	uint64_t memory_under;	      /* bytes; 0: no limit */
	uint64_t exits_under;	      /* 0: no limit */
};

/* `skip_unless:`; NULL: no such condition. */
struct skip_config {
	char *backend, *file, *env;
	uint32_t capability; /* index into hv_cap_words; 0: none */
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
	struct topology_config topology;
	struct smbios_config smbios;
	struct expect_config expect;
	struct skip_config skip_unless;
	uint32_t on_reset;	 /* enum reset_action */
	uint64_t grace;		 /* ns between the power button and the hard end */
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

/* The command-line flags that change a config: --set and --define, and sugar for --set. Any of
 * them may be given several times; the later ones win. */
struct config_flag {
	const char *name; /* without the dashes */
	const char *arg;  /* what its value is called; NULL: it takes none */
	const char *doc;
	const char *path; /* what it sets, as --set has it; NULL: see src/config/flags.c */
	bool boots;	  /* it says what to boot: no file is needed */
};

/* All of them; the last one's name is NULL. */
const struct config_flag *config_flags(void);

/* One flag as it was given. */
struct config_change {
	const struct config_flag *flag;
	const char *value; /* "" for a flag without one */
};

/* What to load. Everything stays the caller's and must outlive the config. */
struct config_request {
	const char *path; /* "-": standard input; NULL: no file, the changes make up the config */
	const struct config_change *changes; /* in the order of the command line */
	size_t n_changes;
	const struct config_settings *settings; /* may be NULL */
	const char *case_name; /* of config_cases; NULL: that of --case, or the file without any */
	bool tests;	       /* for `vibevmm test`: disks are ephemeral by default */
};

/* The combinations that a file's `cases` stand for, by name: "vcpus=2,kernel=vmlinuz". */
struct config_cases {
	char **names;
	size_t n; /* 0: the file has no `cases` */
};

/* Finds them; with a case_name or --case that one alone. 0, or -EINVAL after diagnostics: then
 * *cases is empty. Values are checked by config_load with a case_name. */
int config_cases(const struct config_request *request, const struct registry *registry,
		 struct diags *diags, struct config_cases *cases);
void config_cases_free(struct config_cases *cases);

/* Loads a file and those that it extends, applies the changes and the variables, normalises the
 * result by the rows of the registry and fills the typed structs. Errors go to diags; loading goes
 * on after them, leaving bad parts out, so that later stages can report theirs in the same run.
 * Returns NULL only if nothing at all could be loaded (the reason is in diags). */
struct config *config_load(const struct config_request *request, const struct registry *registry,
			   struct diags *diags);

/* A single text in memory, for tests and tools; name stands for the file in messages. */
struct config *config_load_text(const char *name, const char *text, size_t len,
				const struct registry *registry,
				const struct config_settings *settings, struct diags *diags);

void config_free(struct config *config);

const struct vm_config *config_vm(const struct config *config);

/* Calls fn for every option that has a value, written or default: the top level's, then those of
 * memory, boot and devices, mappings inside included. choice: the entry that it belongs to, NULL at
 * the top level. member: the option's member in its C struct. Stops when fn returns non-zero, and
 * returns that. */
typedef int (*config_option_fn)(void *arg, const struct config_choice *choice,
				const struct option *option, const void *member,
				const struct node *node);
int config_each_option(const struct vm_config *vm, config_option_fn fn, void *arg);

/* Whether the disk image of this entry is written: none of disk->unwritten_if is true. */
bool config_disk_written(const struct config_choice *choice, const struct option_disk *disk);

/* Prints the effective configuration, defaults and all, as YAML that loads back to the same VM.
 * Paths are printed absolute, so that the output works in any directory. */
void config_print(const struct config *config, FILE *out);

/* Prints every effective value with its origin; path (as --set has it; NULL: all) limits it to what
 * is below. -ENOENT, after a diagnostic about the path, if there is nothing. */
int config_explain(struct config *config, const char *path, FILE *out, enum diag_format format);

/* ---- The language: rows in words ---------------------------------------------------------- */

/* The row of the file's top level, for `devices`, schema and manual pages. */
const struct config_type *config_vm_type(void);

/* The i-th type that an OPTION_CHOICE or OPTION_CHOICES of the top level has, or NULL. */
const struct config_type *config_choice_type(const struct registry *registry,
					     const struct option *option, size_t i);

/* The words that an option takes, NULL-terminated: an OPTION_ENUM's, or the backends. NULL: it
 * isn't a matter of words. */
const char *const *config_option_words(const struct option *option);

/* What values an option takes, in a user's terms: "size, at least 4K, a multiple of 4K". */
const char *config_values_text(const struct option *option, char *buf, size_t len);
#define CONFIG_VALUES_MAX 256

/* The config language as JSON Schema, draft 2020-12, made from the rows. */
void config_schema(const struct registry *registry, FILE *out);

/* The memory kinds, by enum memory_kind; *n is how many. */
const struct config_type *const *config_memory_types(size_t *n);

/* ---- Other files -------------------------------------------------------------------------- */

/* A YAML file that is no config, as a tree: read with the same care, and with no rows behind it.
 * `what` names its purpose in messages ("a lock file"). NULL after diagnostics. */
struct config_tree;
struct config_tree *config_tree_load(const char *path, const char *what, struct diags *diags);
const struct node *config_tree_root(const struct config_tree *tree);
void config_tree_free(struct config_tree *tree);

/* Prints a text as a YAML value, in double quotes, escaped. 0, or -ENOMEM with nothing printed. */
int config_print_text(const char *text, FILE *out);

#endif
