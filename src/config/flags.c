/* flags.c: the command-line flags that change a config: rows that stand for a --set, and what a
 * user of Vibe-VMM's flags expects to follow from them.
 */
#include <ctype.h>
#include <string.h>

#include <vibevmm/bytes.h>

#include "loader.h"

enum {
	FLAG_SET,
	FLAG_DEFINE,
	FLAG_CASE,
	FLAG_KERNEL,
	FLAG_INITRD,
	FLAG_CMDLINE,
	FLAG_BINARY,
	FLAG_ENTRY,
	FLAG_MEM,
	FLAG_CPUS,
	FLAG_DISK,
	FLAG_NET,
	FLAG_VFIO,
	FLAG_CONSOLE,
	FLAG_COUNT,
};

static const struct config_flag flags[FLAG_COUNT + 1] = {
	[FLAG_SET] = { .name = "set",
		       .arg = "PATH=VALUE",
		       .doc = "Set a key: memory=1G, devices.root.path=x, devices[+]=rtc" },
	[FLAG_DEFINE] = { .name = "define",
			  .arg = "NAME=VALUE",
			  .doc = "Set a variable, for ${NAME} in the config" },
	[FLAG_CASE] = { .name = "case",
			.arg = "NAME",
			.doc = "Take the values of this one of the config's `cases`" },
	[FLAG_KERNEL] = { .name = "kernel",
			  .arg = "FILE",
			  .doc = "Boot this Linux kernel",
			  .path = "boot.linux.kernel",
			  .boots = true },
	[FLAG_INITRD] = { .name = "initrd",
			  .arg = "FILE",
			  .doc = "Give the kernel this initial RAM disk",
			  .path = "boot.linux.initrd" },
	[FLAG_CMDLINE] = { .name = "cmdline",
			   .arg = "TEXT",
			   .doc = "Give the kernel this command line",
			   .path = "boot.linux.cmdline" },
	[FLAG_BINARY] = { .name = "binary",
			  .arg = "FILE",
			  .doc = "Boot this raw binary",
			  .path = "boot.raw.file",
			  .boots = true },
	[FLAG_ENTRY] = { .name = "entry",
			 .arg = "ADDR",
			 .doc = "Where the binary is loaded and entered, in hex",
			 .path = "boot.raw.entry" },
	[FLAG_MEM] = { .name = "mem", .arg = "SIZE", .doc = "Size of the RAM", .path = "memory" },
	[FLAG_CPUS] = { .name = "cpus", .arg = "N", .doc = "Number of vCPUs", .path = "vcpus" },
	[FLAG_DISK] = { .name = "disk",
			.arg = "FILE",
			.doc = "Add a virtio disk",
			.path = "devices[+].virtio-blk.path" },
	[FLAG_NET] = { .name = "net",
		       .arg = "tap=IF",
		       .doc = "Add a virtio network card on this tap",
		       .path = "devices[+].virtio-net.tap" },
	[FLAG_VFIO] = { .name = "vfio",
			.arg = "BDF",
			.doc = "Pass a PCI device through, such as 0000:01:00.1",
			.path = "devices[+].vfio-pci.host" },
	[FLAG_CONSOLE] = { .name = "console", .doc = "Add Vibe-VMM's debug console" },
};

/* Vibe-VMM's documented memory map: low RAM from 0, with its device windows in it, and the rest of
 * the RAM at 4 GiB. */
#define HIGH_RAM 0x100000000

struct range {
	uint64_t at, size;
};

static const struct vibe_map {
	enum arch arch;
	uint64_t low;	    /* at most so much of the RAM is low */
	uint64_t console;   /* where the debug console's window lies */
	const char *serial; /* the port that a kernel's early messages go to */
	struct range windows[3];
} vibe_maps[] = {
	{ .arch = ARCH_X86_64,
	  .low = 256 << 20,
	  .console = 0x9000000,
	  .serial = "uart16550",
	  .windows = { { 0x9000000, 4 << 10 },	    /* debug console */
		       { 0xa000000, 12 << 10 },	    /* virtio console, block, net */
		       { 0xb000000, 16 << 20 } } }, /* BARs of passed-through devices */
	{ .arch = ARCH_ARM64, .low = 128 << 20, .console = 0x90000000, .serial = "pl011" },
};

const struct config_flag *config_flags(void)
{
	return flags;
}

/* ---- Each flag ----------------------------------------------------------------------------- */

static void apply_net(struct config *config, struct layer *layer)
{
	struct mark mark = { &layer->source, 1, 1, (uint32_t)layer->source.len };

	if (strncmp(layer->source.text, "tap=", 4) != 0) {
		diag_error(config->diags, mark, "--net takes tap=IF, the name of a tap interface");
		return;
	}
	override_text(config, layer, layer->flag->path, layer->source.text + 4);
}

/* Vibe-VMM takes hex with and without 0x. */
static void apply_entry(struct config *config, struct layer *layer)
{
	const char *text = layer->source.text;
	size_t digits = 0;

	while (isxdigit((unsigned char)text[digits]) || text[digits] == '_')
		digits++;
	if (digits && !text[digits] && digits == layer->source.len)
		text = arena_printf(&config->arena, "0x%s", text);
	if (text)
		override_text(config, layer, layer->flag->path, text);
}

/* The text of a flag; NULL after a diagnostic. */
static struct layer *layer_of_change(struct config *config, const struct config_change *change)
{
	char *name = arena_printf(&config->arena, "--%s", change->flag->name);
	struct layer *layer = name ? layer_new(config, name, change->flag) : NULL;

	if (!layer)
		return NULL;
	layer->source.text = change->value;
	layer->source.len = strlen(change->value);
	return file_check_text(&layer->source, config->diags) ? NULL : layer;
}

void flags_define(struct config *config, const struct config_request *request)
{
	for (size_t i = 0; i < request->n_changes; i++) {
		const struct config_change *change = &request->changes[i];
		struct layer *layer = change->flag == &flags[FLAG_DEFINE]
					      ? layer_of_change(config, change)
					      : NULL;

		if (layer)
			variables_define(config, layer);
	}
}

void flags_apply(struct config *config, const struct config_request *request)
{
	for (size_t i = 0; i < request->n_changes; i++) {
		const struct config_change *change = &request->changes[i];
		bool done = change->flag == &flags[FLAG_DEFINE];
		struct layer *layer = done ? NULL : layer_of_change(config, change);

		if (!layer)
			continue;
		switch (change->flag - flags) {
		case FLAG_SET:
			override_set(config, layer);
			break;
		case FLAG_ENTRY:
			apply_entry(config, layer);
			break;
		case FLAG_NET:
			apply_net(config, layer);
			break;
		case FLAG_CASE:
			break; /* cases.c asks for it */
		case FLAG_CONSOLE:
			break; /* it depends on the arch: flags_follow */
		default:
			override_text(config, layer, change->flag->path, change->value);
		}
	}
}

/* ---- What follows -------------------------------------------------------------------------- */

static struct layer *given(const struct config *config, unsigned flag)
{
	for (struct layer *layer = config->layers; layer; layer = layer->next) {
		if (layer->flag == &flags[flag])
			return layer;
	}
	return NULL;
}

const char *flags_case(const struct config *config, struct mark *mark)
{
	const struct layer *layer = given(config, FLAG_CASE);

	if (!layer)
		return NULL;
	*mark = (struct mark){ &layer->source, 1, 1, (uint32_t)layer->source.len };
	return layer->source.text;
}

/* A flag for one boot format, where another one is booted: a later flag has replaced it. */
static void check_format(struct config *config, struct layer *layer)
{
	static const char prefix[] = "boot.";
	const struct node *boot = node_get(config->root, "boot");
	struct mark mark = { &layer->source, 1, 1, (uint32_t)layer->source.len };
	const char *path = layer->flag ? layer->flag->path : NULL, *format;
	size_t len;

	if (!path || strncmp(path, prefix, strlen(prefix)) != 0)
		return;
	format = path + strlen(prefix);
	len = strcspn(format, ".");
	if (!boot || boot->kind != NODE_MAP || boot->n_children != 1 ||
	    (strlen(boot->children[0]->key) == len &&
	     !strncmp(boot->children[0]->key, format, len)))
		return;
	diag_error(config->diags, mark, "%s is for the boot format %.*s, and %s is booted here",
		   layer->source.name, (int)len, format, boot->children[0]->key);
	diag_note(config->diags, boot->children[0]->key_mark, "%s is chosen here",
		  boot->children[0]->key);
}

static const char *hex(struct config *config, uint64_t value)
{
	const char *text = arena_printf(&config->arena, "0x%llx", (unsigned long long)value);

	return text ? text : "";
}

/* --entry is where the binary is loaded as well, unless the config says that of its own. */
static void follow_entry(struct config *config, struct layer *layer)
{
	const struct node *raw = node_get(node_get(config->root, "boot"), "raw");
	const struct node *entry = node_get(raw, "entry");

	if (entry && layer_of(entry->mark) == layer && !node_get(raw, "load"))
		override_text(config, layer, "boot.raw.load", entry->text);
}

static struct node *add_node(struct config *config, struct node *parent, const char *key,
			     enum node_kind kind)
{
	return node_add_new(&config->arena, parent, key, kind, parent->mark);
}

/* Appends `kind: {at: ..., size: ...}`. */
static void add_range(struct config *config, struct node *memory, const char *kind, uint64_t at,
		      uint64_t size)
{
	const uint64_t values[] = { at, size };
	struct node *entry = add_node(config, memory, NULL, NODE_MAP);
	struct node *options = entry ? add_node(config, entry, kind, NODE_MAP) : NULL;

	if (entry)
		entry->from = memory->from;
	for (unsigned i = 0; i < 2 && options; i++) {
		struct node *node = add_node(config, options, i ? "size" : "at", NODE_SCALAR);

		if (!node)
			return;
		node->text = arena_printf(&config->arena, "0x%llx", (unsigned long long)values[i]);
		if (!node->text)
			return;
		node->len = strlen(node->text);
		node->from = memory->from;
	}
}

/* Vibe-VMM's map instead of one size, where its guests need it: windows that lie in RAM, or RAM at
 * 0 where the arch has it elsewhere. */
static void follow_map(struct config *config, const struct vibe_map *map, struct layer *layer)
{
	struct node *written = node_get(config->root, "memory"), *memory;
	const char *text = registry_option(config_vm_type(), "memory")->def, *why;
	struct mark mark = { .source = &layer->source };
	uint64_t size, low;

	if (written && (written->kind != NODE_SCALAR || written->bad))
		return;
	if (written)
		text = written->text;
	if (config_number(OPTION_SIZE, text, &size, &why) || !size || size % 4096)
		return; /* normalise.c will tell */
	if (map->windows[0].size && size <= map->windows[0].at)
		return;
	low = size < map->low ? size : map->low;
	memory = node_new(&config->arena, NODE_SEQ, written ? written->mark : mark);
	if (!memory)
		return;
	memory->key = (char *)"memory";
	memory->from = arena_printf(&config->arena, "the memory map of %s", layer->source.name);
	memory->replaced = written;
	add_range(config, memory, "ram", 0, low);
	for (size_t i = 0; i < ARRAY_SIZE(map->windows); i++) {
		const struct range *w = &map->windows[i];

		if (w->size && w->at < low)
			add_range(config, memory, "hole", w->at,
				  w->size < low - w->at ? w->size : low - w->at);
	}
	if (size > low)
		add_range(config, memory, "ram", HIGH_RAM, size - low);
	node_put(&config->arena, config->root, written, memory);
}

/* A kernel without a config has somewhere to print to. */
static void follow_kernel(struct config *config, const char *serial)
{
	struct node *list, *entry;

	if (config->top->source.text || node_get(config->root, "devices") ||
	    choice_find(&config->choices[TABLE_DEVICES], serial) < 0)
		return;
	list = add_node(config, config->root, "devices", NODE_SEQ);
	entry = list ? add_node(config, list, NULL, NODE_SCALAR) : NULL;
	if (!entry)
		return;
	list->from = entry->from = "the serial port of --kernel without a config";
	list->is_default = entry->is_default = true;
	entry->text = (char *)serial;
	entry->len = strlen(serial);
}

void flags_follow(struct config *config)
{
	struct layer *entry = given(config, FLAG_ENTRY);
	struct layer *console = given(config, FLAG_CONSOLE), *binary = given(config, FLAG_BINARY);
	const struct vibe_map *map = vibe_maps;

	for (struct layer *layer = config->layers; layer; layer = layer->next)
		check_format(config, layer);
	while (map->arch != config->arch)
		map++;
	if (given(config, FLAG_KERNEL))
		follow_kernel(config, map->serial);
	if (entry)
		follow_entry(config, entry);
	if (console && !config_has_device(config, "debug-console")) {
		override_text(config, console, "devices[+].debug-console.at",
			      hex(config, map->console));
		if (map->arch == ARCH_X86_64)
			follow_map(config, map, console);
	}
	if (map->arch == ARCH_ARM64 && (binary || entry))
		follow_map(config, map, binary ? binary : entry);
}
