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

struct device;	 /* device.h */
struct findings; /* finding.h */
struct memory;	 /* memory.h */
struct plan;	 /* plan.h */
struct plan_device;

enum plan_space {
	SPACE_MEM, /* guest-physical addresses */
	SPACE_PIO, /* x86 ports, 0..0xffff */
	SPACE_IRQ, /* interrupt lines: GSIs on x86, SPIs on arm64 */
	SPACE_PCI, /* functions of PCI bus 0: device << 3 | function, 0..255 */
	SPACE_BAR, /* guest-physical addresses inside the windows of the PCI host bridge, ... */
	SPACE_PORTS_BAR, /* ... and ports inside its window of those */
	SPACE_INPUT,	 /* the VM's standard input: one reader */
	SPACE_COUNT,
};

/* Where a claim that isn't fixed may lie: the layout rows of its space, or others. */
enum claim_pool {
	POOL_SPACE,	   /* LAYOUT_MMIO, _PIO, _IRQ */
	POOL_PCI_CONFIG,   /* LAYOUT_PCI_CONFIG */
	POOL_PCI_WINDOW,   /* the LAYOUT_PCI row below 4 GiB: all of it, size and align are 0 */
	POOL_PCI_WINDOW64, /* the one above 4 GiB, if the BARs don't all fit below and the address
			    * width and RAM leave it free: else the device does without */
	POOL_PCI_PORTS,	   /* LAYOUT_PCI_PORTS: all of it */
};

/* What a device needs a place for. The planner finds the place; the device sees only the claim's
 * index and offsets inside it. */
struct claim {
	const char *name; /* "registers", "interrupt"; NULL ends the list */
	enum plan_space space;
	unsigned arches;	/* where the claim exists; 0: everywhere the device does */
	uint64_t size;		/* bytes, or 1 for lines; a power of two unless fixed by the user */
	const char *sized_by;	/* OPTION_SIZE that has the size instead; .size is its default */
	uint64_t align;		/* 0: size */
	const char *fix;	/* option that fixes the place, or NULL */
	const char *only_if;	/* the claim exists only if this option is given, ... */
	const char *unless;	/* ... or only if this one is not */
	const uint64_t *prefer; /* places to try first, in order */
	size_t n_prefer;
	const char *when; /* ... or only if this OPTION_ENUM has the value `is` */
	uint32_t is;
	enum claim_pool pool;
	bool level;	/* a line that is level-triggered; otherwise it is told to be an edge */
	unsigned width; /* widest access in bytes that the device takes at once; the bus splits
			 * wider ones. 0: 8 */
};

/* What a device is to the machine's description, beyond its registers: what the tables that
 * firmware leaves for an operating system say about it in places of their own. */
enum device_role {
	ROLE_NONE,
	ROLE_SERIAL,   /* a serial console: SPCR; stdout-path */
	ROLE_RTC,      /* the CMOS clock: without one, the FADT says so */
	ROLE_KEYBOARD, /* an i8042: the same */
	ROLE_POWER,    /* power off, reset and the power button: the FADT's registers */
	ROLE_PANIC,    /* the guest reports its panic here */
	ROLE_PCI,      /* the PCI host bridge: MCFG, _PRT; the loader adds one where a device has
			* a claim in SPACE_PCI and the config lists none */
	ROLE_MSI,      /* a frame that turns messages into lines: GICv2m */
};

/* How a device shows in ACPI and in the device tree. Addresses, ports and lines come from its
 * claims, as the planner placed them. */
struct device_description {
	enum device_role role;
	const char *hid; /* ACPI 6.4, 6.1.5, _HID: "PNP0501"; NULL: it has no device object */
	const char *compatible[3]; /* Devicetree Specification, 2.3.1: the first NULL ends it;
				    * without any it has no node */
	const char *node;	   /* the node's generic name, 2.2.2: "serial" */
	const struct device_property {
		const char *name;
		uint32_t value;
	} * properties; /* of the node; ends with name NULL; may itself be NULL */
	const struct device_power {
		uint8_t sleep_control, sleep_status, reset; /* offsets in its registers */
		uint8_t s5, reset_value;		    /* what goes there */
	} * power; /* ROLE_POWER on x86_64: ACPI 6.4, 4.8.3.6 and 4.8.3.7 */
};

/* A program of the host's that devices of a type start. */
struct device_program {
	const char *name;    /* NULL ends the list */
	const char *folders; /* where it is looked for, between colons; NULL: those of $PATH */
	const char *use;     /* what needs it, in the plural: "qcow2 images" */
	const char *package; /* Debian's */
	const char *when;    /* only if this OPTION_ENUM or OPTION_BOOL ...; NULL: always */
	uint32_t is;	     /* ... has this value */
};

struct device_row {
	struct config_type type;
	unsigned arches;		       /* enum arch bits */
	unsigned max;			       /* how many in one VM; 0: no limit */
	const struct claim *claims;	       /* ends with name NULL; may itself be NULL */
	unsigned needs, wants;		       /* enum hv_cap bits: refuse without; use if there */
	const struct device_program *programs; /* ends with name NULL; may itself be NULL */
	bool console;			       /* the guest talks on it: device_said */
	bool shares_memory; /* another process reads and writes guest memory for it */
	bool pins_memory;   /* guest memory must stay on the pages that it has, ... */
	bool drops_memory;  /* ... and with this device it doesn't */
	bool many_at_once;  /* read and write are called without its lock, on any threads */
	const struct device_description *describe; /* NULL: only who knows of it finds it */

	/* Rules across options. Pure; reports to diags at the marks of `node`. May be NULL. */
	void (*check)(const void *options, const struct node *node, struct diags *diags);

	/* Whether the host has what this device needs, for `doctor`: adds findings. NULL: it needs
	 * nothing but what its options name, and its programs. */
	void (*examine)(const struct plan *plan, const struct plan_device *dev,
			struct findings *findings);

	/* device.h has the contract of the rest. */
	int (*create)(struct device *dev, struct err *err);
	void (*destroy)(struct device *dev);
	void (*reset)(struct device *dev);
	uint64_t (*read)(struct device *dev, unsigned claim, uint64_t offset, unsigned size);
	void (*write)(struct device *dev, unsigned claim, uint64_t offset, unsigned size,
		      uint64_t value);

	/* The user asks the guest to power off: the power button, which counts if a line of the
	 * device is connected. Any thread, without the lock; must not wait. NULL: there is
	 * none. */
	void (*power_button)(struct device *dev);

	const char *linux_only; /* as in struct option */
};

/* Every device's options begin with its id. */
#define DEVICE_ID(st)                                                                              \
	OPTION(st, id, OPTION_STRING, .min = 1, .max = 64,                                         \
	       .doc = "Name of this device, unique in the VM, for messages and overrides")

struct boot_row {
	struct config_type type;
	unsigned arches;
	bool interrupts;   /* the guest expects an interrupt controller (an operating system kernel)
			    */
	bool tables;	   /* it looks for tables that describe the machine: ACPI and SMBIOS */
	const char *panic; /* what such kernels print as they panic: a reset after these words
			    * counts as that; their first letter occurs once. NULL: no words */
	const char *const
		*devices; /* types that such a guest counts on: the loader adds those that
			   * the config doesn't list. Ends with NULL; may itself be NULL */

	/* Looks at the image's headers, reserves its places (plan_boot_*) and sets the entry;
	 * reports to diags. The files it reads are the images that the options name. */
	void (*plan)(struct plan *plan, const struct config_choice *boot, struct diags *diags);

	/* Copies the image into guest memory at the planned places; again at each restart. */
	int (*load)(const struct plan *plan, const struct config_choice *boot,
		    struct memory *memory, struct err *err);

	/* Frees plan->boot_private, which may be NULL; without this, free(3) does. */
	void (*release)(void *boot_private);
};

struct registry {
	const struct device_row *const *devices;
	size_t n_devices;
	const struct boot_row *const *boots;
	size_t n_boots;
};

/* Finds an option row by key; NULL if there is none. */
const struct option *registry_option(const struct config_type *type, const char *key);

/* The value of an option of up to 8 bytes, which its type has. */
uint64_t registry_value(const struct config_choice *choice, const char *key);

#endif
