/* registry.h: the rows that everything else loops over.
 *
 * A device type is one const `struct device_row` in its own file and one line in
 * src/device/devices.def; a boot format is one `struct boot_row` and one line in
 * src/boot/boots.def. The loader reads names, docs and options; the planner arches, limits,
 * claims and needs; the machine the functions. This header only declares; it is visible from
 * src/config upwards.
 */
#ifndef VIBEVMM_REGISTRY_H
#define VIBEVMM_REGISTRY_H

#include <vibevmm/config.h>

struct device; /* device.h */
struct memory; /* memory.h */
struct plan;   /* plan.h */

enum plan_space {
	SPACE_MEM,   /* guest-physical addresses */
	SPACE_PIO,   /* x86 ports, 0..0xffff */
	SPACE_IRQ,   /* interrupt lines: GSIs on x86, SPIs on arm64 */
	SPACE_INPUT, /* the VM's standard input: one reader */
	SPACE_COUNT,
};

/* What a device needs a place for. The planner finds the place; the device sees only the claim's
 * index and offsets inside it. */
struct claim {
	const char *name; /* "registers", "interrupt"; NULL ends the list */
	enum plan_space space;
	unsigned arches;	/* where the claim exists; 0: everywhere the device does */
	uint64_t size;		/* bytes, or 1 for lines; a power of two unless fixed by the user */
	uint64_t align;		/* 0: size */
	const char *fix;	/* option that fixes the place, or NULL */
	const char *only_if;	/* the claim exists only if this option is given, ... */
	const char *unless;	/* ... or only if this one is not */
	const uint64_t *prefer; /* places to try first, in order */
	size_t n_prefer;
	unsigned width; /* widest access in bytes that the device takes at once; the bus splits
			 * wider ones. 0: 8 */
};

struct device_row {
	struct config_type type;
	unsigned arches;	    /* enum arch bits */
	unsigned max;		    /* how many in one VM; 0: no limit */
	const struct claim *claims; /* ends with name NULL; may itself be NULL */
	unsigned needs, wants;	    /* enum hv_cap bits: refuse without; use if there */

	/* Rules across options. Pure; reports to diags at the marks of `node`. May be NULL. */
	void (*check)(const void *options, const struct node *node, struct diags *diags);

	/* device.h has the contract of the rest. */
	int (*create)(struct device *dev, struct err *err);
	void (*destroy)(struct device *dev);
	void (*reset)(struct device *dev);
	uint64_t (*read)(struct device *dev, unsigned claim, uint64_t offset, unsigned size);
	void (*write)(struct device *dev, unsigned claim, uint64_t offset, unsigned size,
		      uint64_t value);
};

/* Every device's options begin with its id. */
#define DEVICE_ID(st)                                                                              \
	OPTION(st, id, OPTION_STRING, .min = 1, .max = 64,                                         \
	       .doc = "Name of this device, unique in the VM, for messages and overrides")

struct boot_row {
	struct config_type type;
	unsigned arches;
	bool interrupts; /* the guest expects an interrupt controller (an operating system kernel)
			  */

	/* Looks at the image's headers, reserves its places (plan_boot_*) and sets the entry;
	 * reports to diags. The files it reads are the images that the options name. */
	void (*plan)(struct plan *plan, const struct config_choice *boot, struct diags *diags);

	/* Copies the image into guest memory at the planned places. */
	int (*load)(const struct plan *plan, const struct config_choice *boot,
		    struct memory *memory, struct err *err);
};

struct registry {
	const struct device_row *const *devices;
	size_t n_devices;
	const struct boot_row *const *boots;
	size_t n_boots;
};

/* Finds an option row by key; NULL if there is none. */
const struct option *registry_option(const struct config_type *type, const char *key);

#endif
