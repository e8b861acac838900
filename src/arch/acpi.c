/* acpi.c: what ACPI tells a guest about its machine. Sections are those of ACPI 6.4.
 *
 * The machine is a hardware-reduced one (4.1): it has neither the fixed registers of a PC's power
 * management nor a FACS, which is optional then (5.2.10), nor a timer or an interrupt of ACPI's
 * own. What power management there is, the device in ROLE_POWER has. Linux uses no 8259 and no 8254
 * in such a machine, even if they are there: it needs neither. They serve guests that don't ask
 * ACPI.
 *
 * Whatever isn't there is said not to be, so that nobody looks for it. Processors are in the MADT
 * alone: without power states they need no objects.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <vibevmm/bytes.h>

#include "acpi.h"
#include "acpi_pci.h"
#include "aml.h"

#define HEADER	   36U /* 5.2.6 */
#define OEM	   "VIBEVM"
#define OEM_TABLE  "VIBEVMM "
#define CREATOR	   "VIBE"
#define HYPERVISOR "VIBEVMM" /* with the NUL, eight bytes */

#define NOTIFY_BUTTON 0x80 /* 5.6.6, table 5.162 */

/* ---- What the plan has ----------------------------------------------------------------------- */

/* The device's registers, in ports or memory. */
static const struct plan_claim *find_registers(const struct plan_device *dev)
{
	const struct plan_claim *ports = plan_device_claim(dev, SPACE_PIO);

	return ports ? ports : plan_device_claim(dev, SPACE_MEM);
}

/* ---- Tables ---------------------------------------------------------------------------------- */

/* A table begins; its offset. */
static size_t begin(struct blob *blob, const char *signature, unsigned revision)
{
	size_t table;

	blob_align(blob, ACPI_ALIGN);
	table = blob->len;
	blob_add(blob, signature, 4);
	blob_zero(blob, 4); /* length */
	blob_put(blob, 1, revision);
	blob_zero(blob, 1); /* checksum */
	blob_add(blob, OEM, 6);
	blob_add(blob, OEM_TABLE, 8);
	blob_put(blob, 4, 1);
	blob_add(blob, CREATOR, 4);
	blob_put(blob, 4, 1);
	return table;
}

static void end(struct blob *blob, size_t table)
{
	size_t len = blob->len - table;

	blob_set(blob, table + 4, 4, len);
	blob_checksum(blob, table, len, table + 9);
}

/* 5.2.3.2: eight-bit registers at offset `reg` of the claim, taken byte by byte. */
static void generic_address(struct blob *blob, size_t at, const struct plan_claim *claim,
			    uint64_t reg)
{
	blob_set(blob, at, 1, claim->claim->space == SPACE_PIO);
	blob_set(blob, at + 1, 1, 8); /* bits wide */
	blob_set(blob, at + 3, 1, 1); /* byte access */
	blob_set(blob, at + 4, 8, claim->start + reg);
}

/* ---- DSDT ------------------------------------------------------------------------------------ */

static void resources(struct blob *blob, const struct plan_device *dev, unsigned spaces)
{
	size_t at;

	aml_name(blob, "_CRS");
	at = aml_resources(blob);
	for (unsigned i = 0; i < dev->n_claims; i++) {
		const struct plan_claim *claim = &dev->claims[i];

		if (!(spaces & 1U << claim->claim->space))
			continue;
		if (claim->claim->space == SPACE_PIO)
			aml_ports(blob, claim->start, claim->size);
		else if (claim->claim->space == SPACE_MEM)
			aml_memory(blob, claim->start, claim->size);
		else if (claim->claim->space == SPACE_IRQ && claim->connected)
			aml_interrupt(blob, claim->start, claim->claim->level);
	}
	aml_close_resources(blob, at);
}

/* Whether it has an object of its own: a PCI device is found on its bus. */
static bool has_object(const struct plan_device *dev)
{
	const struct device_description *describe = dev->row->describe;

	return describe && describe->hid && describe->role != ROLE_PCI && find_registers(dev);
}

/* How many devices have this _HID, and how many of them have their object. */
struct kind {
	const char *hid; /* NULL: the end of the list */
	uint64_t all, done;
};

static struct kind *kind_of(struct kind *kinds, const struct plan_device *dev)
{
	while (kinds->hid && strcmp(kinds->hid, dev->row->describe->hid) != 0)
		kinds++;
	kinds->hid = dev->row->describe->hid;
	return kinds;
}

static void device_object(struct blob *blob, const struct plan *plan, size_t device,
			  struct kind *kind)
{
	const struct plan_device *dev = &plan->devices[device];
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	char name[5] = "D000";
	size_t object, id = device;

	/* 46656 of them: a config of 1 MiB, the most there is, can't have as many with windows of
	 * their own. */
	for (int i = 3; i > 0; i--, id /= 36)
		name[i] = digits[id % 36];
	assert(id < 10);
	name[0] = digits['D' - 'A' + 10 + id];

	object = aml_device(blob, name);
	aml_name(blob, "_HID");
	aml_hid(blob, dev->row->describe->hid);
	if (kind->all > 1) {
		aml_name(blob, "_UID");
		aml_integer(blob, kind->done++);
	}
	if (dev->row->describe->role == ROLE_PANIC) { /* its drivers ask */
		aml_name(blob, "_STA");
		aml_integer(blob, 0x0f); /* 6.3.7: present, enabled, shown, working */
	}
	resources(blob, dev, ~0U);
	aml_close(blob, object);
}

/* The power button is a device object (4.8.2.2.1.2), and what tells of it, having no register of
 * its own, is an interrupt with a method: a Generic Event Device (5.6.9). */
static void power_button(struct blob *blob, const struct plan_device *power)
{
	const struct plan_claim *interrupt = plan_device_claim(power, SPACE_IRQ);
	size_t object, method, condition;

	if (!interrupt)
		return;
	object = aml_device(blob, "PWRB");
	aml_name(blob, "_HID");
	aml_hid(blob, "PNP0C0C");
	aml_close(blob, object);

	object = aml_device(blob, "GED_");
	aml_name(blob, "_HID");
	aml_hid(blob, "ACPI0013");
	resources(blob, power, 1U << SPACE_IRQ);
	method = aml_method(blob, "_EVT", 1);
	condition = aml_if_arg0_is(blob, interrupt->start);
	aml_notify(blob, "PWRB", NOTIFY_BUTTON);
	aml_close(blob, condition);
	aml_close(blob, method);
	aml_close(blob, object);
}

static void device_objects(struct blob *blob, const struct plan *plan)
{
	struct kind *kinds = calloc(plan->registry->n_devices + 1, sizeof(*kinds));

	if (!kinds) {
		blob->failed = true;
		return;
	}
	for (size_t i = 0; i < plan->n_devices; i++) {
		if (has_object(&plan->devices[i]))
			kind_of(kinds, &plan->devices[i])->all++;
	}
	for (size_t i = 0; i < plan->n_devices; i++) {
		if (has_object(&plan->devices[i]))
			device_object(blob, plan, i, kind_of(kinds, &plan->devices[i]));
	}
	free(kinds);
}

static size_t dsdt(struct blob *blob, const struct plan *plan)
{
	const struct plan_device *power = plan_find_role(plan, ROLE_POWER);
	const struct plan_device *bridge = plan_find_role(plan, ROLE_PCI);
	size_t table = begin(blob, "DSDT", 2), at;

	if (power) {
		aml_name(blob, "_S5_");
		at = aml_package(blob, 1);
		aml_integer(blob, power->row->describe->power->s5);
		aml_close(blob, at);
	}
	at = aml_scope(blob, "\\_SB_");
	device_objects(blob, plan);
	if (bridge)
		acpi_pci_objects(blob, plan, bridge);
	if (power)
		power_button(blob, power);
	aml_close(blob, at);
	end(blob, table);
	return table;
}

/* ---- FADT: 5.2.9 ----------------------------------------------------------------------------- */

enum {
	FADT_DSDT = 40,
	FADT_PROFILE = 45,
	FADT_CENTURY = 108,
	FADT_BOOT = 109, /* IA-PC boot architecture flags */
	FADT_FLAGS = 112,
	FADT_RESET = 116,
	FADT_RESET_VALUE = 128,
	FADT_MINOR = 131,
	FADT_X_DSDT = 140,
	FADT_SLEEP_CONTROL = 244,
	FADT_SLEEP_STATUS = 256,
	FADT_HYPERVISOR = 268,
	FADT_SIZE = 276,
};

#define PROFILE_SERVER 4 /* "Enterprise Server": 5.2.9.1 */

/* 5.2.9, table 5.10 */
#define FLAG_WBINVD    (1U << 0)
#define FLAG_NO_BUTTON (1U << 4) /* the power button isn't a fixed feature */
#define FLAG_NO_SLEEP  (1U << 5) /* nor is a sleep button */
#define FLAG_RESET     (1U << 10)
#define FLAG_REDUCED   (1U << 20)

/* 5.2.9.3, table 5.11 */
#define BOOT_LEGACY (1U << 0) /* what a user sees of ISA: serial ports */
#define BOOT_8042   (1U << 1)
#define BOOT_NO_VGA (1U << 2)
#define BOOT_NO_RTC (1U << 5)

#define RTC_CENTURY 0x32 /* where the clock keeps it, by custom */

static unsigned boot_flags(const struct plan *plan)
{
	unsigned flags = BOOT_NO_VGA;

	if (plan_device_claim(plan_find_role(plan, ROLE_SERIAL), SPACE_PIO))
		flags |= BOOT_LEGACY;
	if (plan_find_role(plan, ROLE_KEYBOARD))
		flags |= BOOT_8042;
	if (!plan_find_role(plan, ROLE_RTC))
		flags |= BOOT_NO_RTC;
	return flags;
}

bool acpi_reset(const struct plan *plan, uint16_t *port, uint8_t *value)
{
	const struct plan_device *power = plan_find_role(plan, ROLE_POWER);
	const struct plan_claim *claim = find_registers(power);

	if (!power || !claim || claim->claim->space != SPACE_PIO)
		return false;
	*port = (uint16_t)(claim->start + power->row->describe->power->reset);
	*value = power->row->describe->power->reset_value;
	return true;
}

/* The registers of ROLE_POWER: sleep control, sleep status, reset. */
static void power_registers(struct blob *blob, size_t table, const struct plan_device *dev)
{
	const struct plan_claim *claim = find_registers(dev);
	const struct device_power *power;

	if (!dev || !claim)
		return;
	power = dev->row->describe->power;
	generic_address(blob, table + FADT_SLEEP_CONTROL, claim, power->sleep_control);
	generic_address(blob, table + FADT_SLEEP_STATUS, claim, power->sleep_status);
	generic_address(blob, table + FADT_RESET, claim, power->reset);
	blob_set(blob, table + FADT_RESET_VALUE, 1, power->reset_value);
}

static size_t fadt(struct blob *blob, const struct plan *plan, uint64_t dsdt_addr)
{
	const struct plan_device *power = plan_find_role(plan, ROLE_POWER);
	size_t table = begin(blob, "FACP", 6);

	blob_zero(blob, FADT_HYPERVISOR - HEADER);
	blob_add(blob, HYPERVISOR, FADT_SIZE - FADT_HYPERVISOR);
	blob_set(blob, table + FADT_DSDT, 4, dsdt_addr);
	blob_set(blob, table + FADT_X_DSDT, 8, dsdt_addr);
	blob_set(blob, table + FADT_MINOR, 1, 4);
	blob_set(blob, table + FADT_PROFILE, 1, PROFILE_SERVER);
	blob_set(blob, table + FADT_BOOT, 2, boot_flags(plan));
	blob_set(blob, table + FADT_FLAGS, 4,
		 FLAG_WBINVD | FLAG_NO_BUTTON | FLAG_NO_SLEEP | FLAG_REDUCED |
			 (power ? FLAG_RESET : 0));
	if (plan_find_role(plan, ROLE_RTC))
		blob_set(blob, table + FADT_CENTURY, 1, RTC_CENTURY);
	power_registers(blob, table, power);
	end(blob, table);
	return table;
}

/* ---- MADT: 5.2.12 ---------------------------------------------------------------------------- */

#define MADT_PCAT    (1U << 0) /* 8259s are there too */
#define MADT_ENABLED (1U << 0)
#define LOCAL_APICS  0xfee00000U /* Intel SDM Vol. 3, 11.4.1 */
#define TYPE_APIC    0
#define TYPE_IOAPIC  1
#define TYPE_X2APIC  9

static const struct layout_row *find_ioapic(const struct arch_row *arch)
{
	const struct layout_row *row = arch->layout;

	while (row->name && strcmp(row->name, "ioapic") != 0)
		row++;
	assert(row->name);
	return row;
}

/* The short form has a byte for the ID, and 0xff means everybody. */
static void processor(struct blob *blob, unsigned index, unsigned apic_id)
{
	if (apic_id <= HV_X86_APIC_ID_MAX && index <= HV_X86_APIC_ID_MAX) { /* 5.2.12.2 */
		blob_put(blob, 1, TYPE_APIC);
		blob_put(blob, 1, 8);
		blob_put(blob, 1, index);
		blob_put(blob, 1, apic_id);
		blob_put(blob, 4, MADT_ENABLED);
	} else { /* 5.2.12.12 */
		blob_put(blob, 1, TYPE_X2APIC);
		blob_put(blob, 1, 16);
		blob_zero(blob, 2);
		blob_put(blob, 4, apic_id);
		blob_put(blob, 4, MADT_ENABLED);
		blob_put(blob, 4, index);
	}
}

/* Lines are the IOAPIC's inputs, ISA's at their own numbers: no entry overrides one. */
static size_t madt(struct blob *blob, const struct plan *plan)
{
	size_t table = begin(blob, "APIC", 5);

	blob_put(blob, 4, LOCAL_APICS);
	blob_put(blob, 4, plan->irqchip == HV_IRQCHIP_FULL ? MADT_PCAT : 0);
	for (unsigned i = 0; i < plan->config->vcpus; i++)
		processor(blob, i, hv_x86_apic_id(&plan->topology, i));
	blob_put(blob, 1, TYPE_IOAPIC); /* 5.2.12.3 */
	blob_put(blob, 1, 12);
	blob_put(blob, 1, 0); /* ID */
	blob_zero(blob, 1);
	blob_put(blob, 4, find_ioapic(plan->arch)->start);
	blob_put(blob, 4, 0); /* its first interrupt */
	end(blob, table);
	return table;
}

/* ---- SPCR: Microsoft's "Serial Port Console Redirection Table", revision 2 ------------------- */

enum {
	SPCR_ADDRESS = 40,
	SPCR_INTERRUPT_TYPE = 52,
	SPCR_INTERRUPT = 54,
	SPCR_BAUD = 58,
	SPCR_STOP_BITS = 60,
	SPCR_TERMINAL = 62,
	SPCR_PCI_IDS = 64,
	SPCR_SIZE = 80,
};

#define SPCR_IOAPIC 2
#define SPCR_115200 7
#define SPCR_ANSI   3

static size_t spcr(struct blob *blob, const struct plan_device *serial,
		   const struct plan_claim *registers)
{
	const struct plan_claim *interrupt = plan_device_claim(serial, SPACE_IRQ);
	size_t table = begin(blob, "SPCR", 2);

	blob_zero(blob, SPCR_SIZE - HEADER); /* interface type 0: a 16550 */
	generic_address(blob, table + SPCR_ADDRESS, registers, 0);
	if (interrupt) {
		blob_set(blob, table + SPCR_INTERRUPT_TYPE, 1, SPCR_IOAPIC);
		blob_set(blob, table + SPCR_INTERRUPT, 4, interrupt->start);
	}
	blob_set(blob, table + SPCR_BAUD, 1, SPCR_115200);
	blob_set(blob, table + SPCR_STOP_BITS, 1, 1);
	blob_set(blob, table + SPCR_TERMINAL, 1, SPCR_ANSI);
	blob_set(blob, table + SPCR_PCI_IDS, 4, UINT32_MAX); /* no PCI device */
	end(blob, table);
	return table;
}

/* ---- MCFG: PCI Firmware Specification 3.2, 4.1.2 --------------------------------------------- */

static size_t mcfg(struct blob *blob, const struct plan_claim *config)
{
	size_t table = begin(blob, "MCFG", 1);

	blob_zero(blob, 8);
	blob_put(blob, 8, config->start);
	blob_zero(blob, 2); /* segment */
	blob_zero(blob, 2); /* first and last bus */
	blob_zero(blob, 4);
	end(blob, table);
	return table;
}

/* ---- All of them ----------------------------------------------------------------------------- */

/* 5.2.5.3 */
static void begin_rsdp(struct blob *blob)
{
	blob_add(blob, "RSD PTR ", 8);
	blob_zero(blob, 1); /* checksum */
	blob_add(blob, OEM, 6);
	blob_put(blob, 1, 2);  /* revision */
	blob_zero(blob, 4);    /* no RSDT: its addresses have 32 bits */
	blob_put(blob, 4, 36); /* length */
	blob_zero(blob, ACPI_FIRST_TABLE - blob->len);
}

/* The first 20 bytes are version 1's, with a checksum of their own. */
static void end_rsdp(struct blob *blob, uint64_t xsdt)
{
	blob_set(blob, 24, 8, xsdt);
	blob_checksum(blob, 0, 20, 8);
	blob_checksum(blob, 0, 36, 32);
}

void acpi_build(struct blob *blob, const struct plan *plan, uint64_t base)
{
	const struct plan_device *serial = plan_find_role(plan, ROLE_SERIAL);
	const struct plan_claim *registers = find_registers(serial);
	const struct plan_claim *config =
		plan_pool_claim(plan_find_role(plan, ROLE_PCI), POOL_PCI_CONFIG);
	size_t tables[4], n = 0, xsdt;

	begin_rsdp(blob);
	tables[n++] = fadt(blob, plan, base + dsdt(blob, plan));
	if (plan->irqchip != HV_IRQCHIP_NONE)
		tables[n++] = madt(blob, plan);
	if (registers)
		tables[n++] = spcr(blob, serial, registers);
	if (config)
		tables[n++] = mcfg(blob, config);

	xsdt = begin(blob, "XSDT", 1);
	for (size_t i = 0; i < n; i++)
		blob_put(blob, 8, base + tables[i]);
	end(blob, xsdt);
	end_rsdp(blob, base + xsdt);
}
