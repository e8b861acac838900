/* vm_type.c: the rows of the top level, and the memory kinds. */
#include <assert.h>
#include <string.h>

#include <vibevmm/bytes.h>

#include "loader.h"

#define PAGE	  .align = 4096
#define PAGE_SIZE .min = 4096, .align = 4096

static const struct option ram_options[] = {
	OPTION(struct memory_ram, at, OPTION_ADDR, .required = true, PAGE,
	       .doc = "Guest-physical address where it begins"),
	OPTION(struct memory_ram, size, OPTION_SIZE, .required = true, PAGE_SIZE,
	       .doc = "How much"),
	{ 0 },
};

static const struct option rom_options[] = {
	OPTION(struct memory_rom, at, OPTION_ADDR, .required = true, PAGE,
	       .doc = "Guest-physical address where it begins"),
	OPTION(struct memory_rom, file, OPTION_PATH, .required = true, .doc = "What is in it"),
	OPTION(struct memory_rom, size, OPTION_SIZE, PAGE_SIZE,
	       .doc = "How much; without it, as much as the file needs"),
	{ 0 },
};

static const struct option range_options[] = {
	OPTION(struct memory_ram, at, OPTION_ADDR, .required = true, PAGE,
	       .doc = "Guest-physical address where it begins"),
	OPTION(struct memory_ram, size, OPTION_SIZE, .required = true, PAGE_SIZE,
	       .doc = "How large it is"),
	{ 0 },
};

static const struct config_type ram_type = {
	.name = "ram",
	.doc = "Memory that the guest may use",
	.options = ram_options,
	.size = sizeof(struct memory_ram),
};
static const struct config_type rom_type = {
	.name = "rom",
	.doc = "Memory that the guest can only read, filled from a file",
	.options = rom_options,
	.size = sizeof(struct memory_rom),
};
static const struct config_type reserved_type = {
	.name = "reserved",
	.doc = "Addresses that stay free: no device is placed there",
	.options = range_options,
	.size = sizeof(struct memory_ram),
};
static const struct config_type hole_type = {
	.name = "hole",
	.doc = "Addresses cut out of the RAM around them, so that a device may sit there",
	.options = range_options,
	.size = sizeof(struct memory_ram),
};

static const struct config_type *const memory_types[] = {
	[MEMORY_RAM] = &ram_type,
	[MEMORY_ROM] = &rom_type,
	[MEMORY_RESERVED] = &reserved_type,
	[MEMORY_HOLE] = &hole_type,
};

const struct config_type *const *config_memory_types(size_t *n)
{
	*n = ARRAY_SIZE(memory_types);
	return memory_types;
}

static const char *const irqchip_words[] = {
	[IRQCHIP_AUTO] = "auto",
	[IRQCHIP_NONE] = "none",
	[IRQCHIP_SPLIT] = "split",
	[IRQCHIP_FULL] = "full",
	NULL,
};

static const char *const gic_words[] = {
	[GIC_AUTO] = "auto",
	[GIC_V2] = "v2",
	[GIC_V3] = "v3",
	NULL,
};

static const struct option platform_options[] = {
	OPTION(struct platform_config, irqchip, OPTION_ENUM, .words = irqchip_words, .def = "auto",
	       .doc = "Interrupt controller; auto: split, if anything needs interrupts"),
	OPTION(struct platform_config, pit, OPTION_BOOL, .def = "false",
	       .doc = "An 8254 timer in the kernel"),
	OPTION(struct platform_config, acpi, OPTION_BOOL, .def = "true", .arches = ARCH_X86_64,
	       .doc = "ACPI and SMBIOS tables, for boot formats whose guests look for them"),
	OPTION(struct platform_config, gic, OPTION_ENUM, .words = gic_words, .def = "auto",
	       .arches = ARCH_ARM64,
	       .doc = "Version of the interrupt controller; auto: v3, unless the host has only v2"),
	OPTION(struct platform_config, pmu, OPTION_BOOL, .def = "false", .arches = ARCH_ARM64,
	       .doc = "Performance counters for the guest"),
	OPTION(struct platform_config, sve, OPTION_BOOL, .def = "false", .arches = ARCH_ARM64,
	       .doc = "Scalable vectors (SVE) for the guest"),
	{ 0 },
};

static const struct config_type platform_type = {
	.name = "platform",
	.doc = "What belongs to the machine itself",
	.options = platform_options,
	.size = sizeof(struct platform_config),
};

static const struct option topology_options[] = {
	OPTION(struct topology_config, sockets, OPTION_UINT, .planned = true, .min = 1, .max = 4096,
	       .doc = "Processors; 1 unless cores or threads leave more vCPUs than one has"),
	OPTION(struct topology_config, cores, OPTION_UINT, .planned = true, .min = 1, .max = 4096,
	       .doc = "Cores of each; by default what sockets and threads leave"),
	OPTION(struct topology_config, threads, OPTION_UINT, .planned = true, .min = 1, .max = 64,
	       .doc = "Threads of each core; 1 by default"),
	{ 0 },
};

static const struct config_type topology_type = {
	.name = "topology",
	.doc = "How the vCPUs make up processors",
	.options = topology_options,
	.size = sizeof(struct topology_config),
};

static const struct option smbios_options[] = {
	OPTION(struct smbios_config, vendor, OPTION_STRING, .min = 1, .max = 64,
	       .arches = ARCH_X86_64, .def = "vibevmm", .doc = "Manufacturer of the system"),
	OPTION(struct smbios_config, product, OPTION_STRING, .min = 1, .max = 64,
	       .arches = ARCH_X86_64, .def = "virtual machine", .doc = "Product name"),
	OPTION(struct smbios_config, version, OPTION_STRING, .min = 1, .max = 64,
	       .arches = ARCH_X86_64, .doc = "Version of the product"),
	OPTION(struct smbios_config, serial, OPTION_STRING, .min = 1, .max = 64,
	       .arches = ARCH_X86_64, .doc = "Serial number"),
	OPTION(struct smbios_config, uuid, OPTION_STRING, .min = 1, .max = 64,
	       .arches = ARCH_X86_64, .text = TEXT_UUID, .doc = "UUID of the system"),
	{ 0 },
};

static const struct config_type smbios_type = {
	.name = "smbios",
	.doc = "What the guest is told about its maker",
	.options = smbios_options,
	.size = sizeof(struct smbios_config),
};

static const struct option skip_options[] = {
	OPTION(struct skip_config, backend, OPTION_STRING, .text = TEXT_BACKEND, .sample = "kvm",
	       .doc = "This hypervisor, or auto: any, runs guests of the VM's architecture here"),
	OPTION(struct skip_config, capability, OPTION_ENUM, .words = hv_cap_words, .def = "none",
	       .doc = "The hypervisor has this here; linux: it runs whole operating systems"),
	OPTION(struct skip_config, file, OPTION_PATH, .made = true, .doc = "This file is there"),
	OPTION(struct skip_config, env, OPTION_STRING, .min = 1, .max = 64, .sample = "CI",
	       .doc = "This environment variable is set and not empty"),
	{ 0 },
};

static const struct config_type skip_type = {
	.name = "skip_unless",
	.doc = "Conditions of `vibevmm test`: it skips the VM, and says why, unless all are met",
	.options = skip_options,
	.size = sizeof(struct skip_config),
};

/* The word's index is the bit in enum arch. */
static const char *const arch_words[] = { "x86_64", "arm64", NULL };
_Static_assert(ARCH_X86_64 == 1 << 0 && ARCH_ARM64 == 1 << 1, "arch_words follows enum arch");

static const char *const reset_words[] = {
	[RESET_FAIL] = "fail",
	[RESET_EXIT] = "exit",
	[RESET_RESTART] = "restart",
	NULL,
};

/* Rows with the same key are alternatives, told apart by the shape of the value; a default is the
 * first one's. The defaults of name and arch depend on the file and the host: load.c puts them in.
 */
static const struct option vm_options[] = {
	OPTION(struct vm_config, name, OPTION_STRING, .min = 1, .max = 64,
	       .doc = "Name of the VM; by default the file's"),
	OPTION(struct vm_config, arch, OPTION_ENUM, .words = arch_words,
	       .doc = "Architecture of the guest; by default the host's"),
	OPTION(struct vm_config, backend, OPTION_STRING, .text = TEXT_BACKEND, .def = "auto",
	       .doc = "Hypervisor, or auto: the first of this host that can run the guest"),
	OPTION(struct vm_config, vcpus, OPTION_UINT, .def = "1", .min = 1, .max = 4096,
	       .doc = "Number of virtual CPUs"),
	{ .key = "memory",
	  .kind = OPTION_SIZE,
	  .offset = offsetof(struct vm_config, memory_size),
	  .size = sizeof(uint64_t),
	  .def = "512M",
	  PAGE_SIZE,
	  .doc = "Size of the RAM, which the architecture lays out" },
	OPTION(struct vm_config, memory, OPTION_CHOICES,
	       .doc = "The whole memory map, each entry one kind"),
	OPTION(struct vm_config, boot, OPTION_CHOICE, .required = true,
	       .doc = "What to boot: exactly one format"),
	OPTION(struct vm_config, devices, OPTION_CHOICES, .doc = "Devices, each entry one type"),
	OPTION(struct vm_config, platform, OPTION_MAP, .type = &platform_type,
	       .doc = "What belongs to the machine itself"),
	OPTION(struct vm_config, on_reset, OPTION_ENUM, .words = reset_words, .def = "fail",
	       .doc = "What it means when the guest resets: a failure (status 82), its end, or a "
		      "new start"),
	OPTION(struct vm_config, grace, OPTION_DURATION, .def = "5s",
	       .doc = "How long the guest has to power off after a first SIGTERM, SIGINT or SIGHUP "
		      "pressed its power button"),
	OPTION(struct vm_config, topology, OPTION_MAP, .type = &topology_type,
	       .doc = "How the vCPUs make up processors"),
	OPTION(struct vm_config, smbios, OPTION_MAP, .type = &smbios_type,
	       .doc = "What the guest is told about its maker"),
	OPTION(struct vm_config, skip_unless, OPTION_MAP, .type = &skip_type,
	       .doc = "Conditions of `vibevmm test`: it skips the VM, and says why, unless all are "
		      "met"),
	OPTION(struct vm_config, expect, OPTION_MAP, .type = &expect_type,
	       .doc = "What `vibevmm test` wants to see"),
	{ 0 },
};

static const struct config_type vm_type = {
	.name = "vm",
	.doc = "A virtual machine",
	.options = vm_options,
	.size = sizeof(struct vm_config),
};

const struct config_type *config_vm_type(void)
{
	return &vm_type;
}

enum choice_table vm_choice_table(const struct option *option)
{
	assert(option->kind == OPTION_CHOICE || option->kind == OPTION_CHOICES);
	return option->offset == offsetof(struct vm_config, memory) ? TABLE_MEMORY
	       : option->offset == offsetof(struct vm_config, boot) ? TABLE_BOOT
								    : TABLE_DEVICES;
}

const struct option *registry_option(const struct config_type *type, const char *key)
{
	for (const struct option *o = type->options; o && o->key; o++) {
		if (!strcmp(o->key, key))
			return o;
	}
	return NULL;
}

uint64_t registry_value(const struct config_choice *choice, const char *key)
{
	const struct option *o = registry_option(choice->type, key);

	assert(o && o->size <= 8);
	return bytes_get((const char *)choice->options + o->offset, o->size);
}
