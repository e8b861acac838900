/* plan.h: from a configuration to addresses.
 *
 * Stage 2 of 4. Gives every claim of every device its place, lays out memory, and reports every
 * conflict at once, with both positions and the next free window. Opens nothing but the boot image
 * and ROM files that the config names. Works for any arch and backend on any host. One thread.
 */
#ifndef VIBEVMM_PLAN_H
#define VIBEVMM_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <vibevmm/backend.h>
#include <vibevmm/config.h>
#include <vibevmm/memory.h>
#include <vibevmm/registry.h>

/* ---- What an architecture contributes (src/arch) ----------------------------------------- */

enum layout_kind {
	LAYOUT_RAM,	 /* `memory: SIZE` fills these in order */
	LAYOUT_HOLE,	 /* nothing is placed here unless the user fixes it */
	LAYOUT_MMIO,	 /* windows without a fixed place go here */
	LAYOUT_PLATFORM, /* belongs to the interrupt controller or the backend: only if there is one
			  */
	LAYOUT_REDISTS,	 /* the same, only if hv_gic_config has redistributors there */
	LAYOUT_PIO,	 /* ports without a fixed place go here */
	LAYOUT_IRQ,	 /* lines without a fixed place go here */
	LAYOUT_PCI,	 /* PCI's: windows for BARs ... */
	LAYOUT_PCI_CONFIG, /* ... and configuration space (ECAM), 1 MiB for each bus */
	LAYOUT_PCI_PORTS,  /* ports for BARs */
	LAYOUT_PIC_PORTS,  /* ports that a full interrupt controller answers itself */
	LAYOUT_PIT_PORTS,  /* ports that the 8254 timer answers itself */
};

struct layout_row {
	enum layout_kind kind;
	uint64_t start,
		size; /* size 0: up to the top of the address width (RAM: as much as needed) */
	const char *name;
};

/* How the boot processor starts; which modes exist depends on the arch. ENTRY_RESET: as after
 * power-on, at the arch's reset vector. */
enum entry_mode { ENTRY_REAL, ENTRY_PROTECTED, ENTRY_LONG, ENTRY_EL1, ENTRY_RESET };

struct plan_entry {
	bool set;
	enum entry_mode mode;
	uint64_t pc;
	struct mark mark; /* what asked for this entry address */
	uint64_t tables;  /* where the arch's tables (GDT, page tables) lie; 0: none */

	/* What the boot format sets after plan_set_entry, for the guest to find in registers. */
	uint64_t rax, rbx, rsi; /* x86_64 */
	uint64_t x0;		/* arm64 */
	uint16_t code_selector; /* x86_64, but in real mode: CS; data segments have the next one.
				 * 0: 0x08 */
};

typedef int (*plan_table_fn)(void *arg, const char *name, const void *bytes, size_t len);

struct arch_row {
	enum arch arch;
	const struct layout_row *layout; /* ends with name NULL */
	uint64_t irq_lines;		 /* lines are 0..irq_lines-1 */

	/* Checks what `vcpus`, `topology` and `platform` ask for that only this arch knows about,
	 * and fills plan->pit and plan->gic. Called when topology and irqchip are chosen, before
	 * anything has a place. */
	void (*plan_platform)(struct plan *plan, struct diags *diags);

	/* Reserves what the entry mode needs in RAM (page tables, GDT) and checks that pc is
	 * possible in that mode. Called after the boot format's plan. */
	void (*plan_entry)(struct plan *plan, struct diags *diags);

	/* Writes those tables and fills the boot processor's state. */
	int (*write_entry)(const struct plan *plan, struct memory *memory, struct hv_entry *entry,
			   struct err *err);

	/* Tables that describe the machine (ACPI, SMBIOS, device tree), where plan->tables.wanted:
	 * plan_tables makes them and places them, after the boot format's plan, unless the config
	 * does without; write_tables copies those there are to guest memory, before its load. */
	void (*plan_tables)(struct plan *plan, struct diags *diags);
	int (*write_tables)(const struct plan *plan, struct memory *memory, struct err *err);

	/* Calls fn for each of those tables, if there are any, under its file name, for people and
	 * their tools. Stops when fn returns non-zero, and returns that; or -ENOMEM. NULL: none. */
	int (*each_table)(const struct plan *plan, plan_table_fn fn, void *arg);
};

const struct arch_row *arch_find(enum arch arch);

/* ---- The plan ---------------------------------------------------------------------------- */

enum region_kind {
	REGION_RAM,
	REGION_ROM,
	REGION_RESERVED, /* the user's */
	REGION_HOLE,	 /* the user's, cut out of RAM; or the layout's */
	REGION_PLATFORM,
	REGION_DEVICE, /* a window, ports or a line of a device */
	REGION_BOOT,   /* lies inside RAM: image, initrd, page tables */
	REGION_TABLES, /* lies inside RAM, and the guest must not take it for RAM: ACPI, SMBIOS */
};

struct plan_region {
	enum plan_space space;
	enum region_kind kind;
	uint64_t start, last; /* inclusive: a region may end at the top of 64 bits */
	char owner[40];	      /* "ram", "uart16550", "devices.root", "page tables" */
	const char *name;     /* of the claim; NULL otherwise */
	int device;	      /* index in plan->devices, or -1 */
	struct mark mark;     /* what in the config caused it; source NULL: the layout */
	bool fixed;	      /* at the user's word, or a default's */
	const char *file;     /* REGION_ROM: its image ... */
	uint64_t file_size;   /* ... and how large that is */
};

/* A claim's place. */
struct plan_claim {
	const struct claim *claim;
	unsigned index; /* in the row's list: what read and write are called with */
	uint64_t start, size;
	bool connected; /* false: a line in a machine without interrupts, or input taken */
};

#define PLAN_MAX_CLAIMS 8

struct plan_device {
	const struct device_row *row;
	const struct config_choice *choice;
	char label[40]; /* its id, or "uart16550", or "uart16550#2" */
	struct plan_claim claims[PLAN_MAX_CLAIMS];
	unsigned n_claims;
};

struct plan {
	const struct vm_config *config;
	const struct registry *registry;
	const struct arch_row *arch;
	struct hv_caps caps;
	const char *backend_name; /* what caps belong to, for messages; NULL: no backend */
	enum hv_irqchip irqchip;
	bool pit;
	struct hv_gic_config gic; /* arm64, if irqchip is there */
	struct hv_topology topology;

	struct plan_device *devices;
	size_t n_devices;

	/* Sorted by space and start. RAM regions are already cut around holes: each RAM and ROM
	 * region is one memory slot. REGION_BOOT regions lie inside RAM ones. */
	struct plan_region *regions;
	size_t n_regions;
	uint64_t ram_size;
	bool memory_bad; /* errors were reported about memory: checks against RAM make no sense */

	struct plan_entry entry;
	void *boot_private; /* the boot format's notes between plan and load; freed with the plan by
			     * the row's release */

	struct plan_tables {
		bool wanted;
		uint64_t rsdp; /* x86_64: where ACPI begins (ACPI 6.4, 5.2.5); 0: none */

		/* arm64: what the boot format has for the device tree. */
		const char *dtb;      /* the user's own; NULL: one is made */
		struct mark dtb_mark; /* what asked for it, or for its place */
		bool dtb_fixed;	      /* it goes to dtb_at */
		uint64_t dtb_at;
		const char *cmdline; /* NULL: none */
		uint64_t initrd, initrd_size;

		void *private; /* the arch's, malloc'ed, freed with the plan */
	} tables;

	size_t cap_regions;
};

/* Makes the plan. caps NULL: no backend, checked against the layout alone. Always returns a plan
 * (NULL only without memory); it is good to build if diags got no error. config, registry and arch
 * must outlive it. */
struct plan *plan_make(const struct vm_config *config, const struct registry *registry,
		       const struct arch_row *arch, const char *backend_name,
		       const struct hv_caps *caps, struct diags *diags);
void plan_free(struct plan *plan);

/* The table that `vibevmm plan` prints, or JSON. */
void plan_print(const struct plan *plan, FILE *out, enum diag_format format);

/* The same as a picture, an SVG document for eyes and browsers: the memory map to scale beside a
 * row for each region, then ports, lines and inputs. 0, or -ENOMEM with nothing written. */
int plan_print_svg(const struct plan *plan, FILE *out);

/* ---- For boot formats and arches, during planning ---------------------------------------- */

/* Where in the config a value is, by path; the whole file if it isn't there. */
struct mark plan_mark(const struct plan *plan, const char *path);

/* Reserves [start, start + size) of RAM for `name`. Reports to diags, at mark, if it wraps, isn't
 * all in one RAM region, or overlaps another boot region; true if it is reserved. size 0 is fine
 * and reserves nothing. */
bool plan_boot_fixed(struct plan *plan, struct diags *diags, const char *name, uint64_t start,
		     uint64_t size, struct mark mark);

/* Puts a ROM with that file of size bytes in it at `at`, a multiple of 4 KiB; it is as large as the
 * file, rounded up to 4 KiB. Reports to diags, at mark, if the backend has no ROM or something is
 * there already; true if it is in the plan. The file's name must outlive the plan. */
bool plan_boot_rom(struct plan *plan, struct diags *diags, const char *name, uint64_t at,
		   uint64_t size, const char *file, struct mark mark);

/* Finds the lowest (or highest) free RAM for `name` in [min, max], aligned; reports if there is
 * none, unless diags is NULL. */
bool plan_boot_place(struct plan *plan, struct diags *diags, const char *name, uint64_t size,
		     uint64_t align, uint64_t min, uint64_t max, bool high, struct mark mark,
		     uint64_t *start);

/* The same for tables, REGION_TABLES. diags NULL: no report. */
bool plan_tables_place(struct plan *plan, struct diags *diags, const char *name, uint64_t size,
		       uint64_t align, uint64_t min, uint64_t max, bool high, struct mark mark,
		       uint64_t *start);

/* Sets where the boot processor starts; reports an entry outside RAM and ROM. */
void plan_set_entry(struct plan *plan, struct diags *diags, enum entry_mode mode, uint64_t pc,
		    struct mark mark);

/* The device's first claim of that space, a line only if it is connected; NULL if there is none, or
 * no device. The same for the pool that a claim is out of. */
const struct plan_claim *plan_device_claim(const struct plan_device *dev, enum plan_space space);
const struct plan_claim *plan_pool_claim(const struct plan_device *dev, enum claim_pool pool);

/* The first device in that role, or NULL. */
const struct plan_device *plan_find_role(const struct plan *plan, enum device_role role);

/* What a guest talks on, and what `on` names. */
struct plan_console {
	const struct plan_device *device; /* NULL: the VM's standard output */
	unsigned port;			  /* 0: the device's own line; i: its ports[i - 1] */
	bool standard;			  /* it leads to the VM's standard output */
	bool deaf;			  /* nothing can be typed there */
	char name[112];			  /* "" for standard output; "com1", "console.agent" */
};

/* The i-th of them, standard output first; false if there are no more. */
bool plan_console(const struct plan *plan, size_t i, struct plan_console *console);

/* The layout's row that a claim out of this pool gets; NULL: the arch has none. */
const struct layout_row *plan_pool_row(const struct arch_row *arch, enum claim_pool pool);

/* The region of that space and kind mask (1 << kind) that holds addr, or NULL. */
const struct plan_region *plan_region_at(const struct plan *plan, enum plan_space space,
					 unsigned kinds, uint64_t addr);

/* The device window nearest to addr, for messages about stray accesses; NULL if there is none. */
const struct plan_region *plan_nearest(const struct plan *plan, enum plan_space space,
				       uint64_t addr);

#endif
