/* test_acpi.c: ACPI's tables and SMBIOS, read back from guest memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <vibevmm/bytes.h>
#include <vibevmm/device.h>
#include <vibevmm/plan.h>

#define KIB 1024ULL

/* ---- A registry of our own, with the real devices in it -------------------------------------- */

/* A device with windows of all sizes. */
struct wide_config {
	char *id;
	uint64_t at;
};

static const struct option wide_options[] = {
	DEVICE_ID(struct wide_config),
	OPTION(struct wide_config, at, OPTION_ADDR, .doc = "Address"),
	{ 0 },
};

static const struct claim wide_claims[] = {
	{ .name = "small", .space = SPACE_MEM, .size = 0x1000 },
	{ .name = "high", .space = SPACE_MEM, .size = 0x200000000, .fix = "at", .only_if = "at" },
	{ .name = "ports", .space = SPACE_PIO, .size = 0x400 },
	{ .name = "first", .space = SPACE_IRQ, .size = 1 },
	{ .name = "second", .space = SPACE_IRQ, .size = 1 },
	{ 0 },
};

static const struct device_description wide_describe = { .hid = "VIBE0001" };

static const struct device_row wide = {
	.type = { "wide", "Several windows", wide_options, sizeof(struct wide_config) },
	.arches = ARCH_X86_64,
	.claims = wide_claims,
	.describe = &wide_describe,
};

/* A PCI device with a BAR that only the window above 4 GiB has room for. */
static const struct claim huge_claims[] = {
	{ .name = "function", .space = SPACE_PCI, .size = 1 },
	{ .name = "bar", .space = SPACE_BAR, .size = 0x20000000 },
	{ 0 },
};

static const struct device_row huge = {
	.type = { "huge", "A large BAR", wide_options, sizeof(struct wide_config) },
	.arches = ARCH_X86_64,
	.claims = huge_claims,
};

static const struct option blob_options[] = { { 0 } };

static void blob_plan(struct plan *plan, const struct config_choice *boot, struct diags *diags)
{
	if (plan_boot_fixed(plan, diags, "blob", 0x1000, 0x1000, boot->mark))
		plan_set_entry(plan, diags, ENTRY_LONG, 0x1000, boot->mark);
}

static const struct boot_row kernel = {
	.type = { "kernel", "Looks for tables", blob_options, 1 },
	.arches = ARCH_X86_64,
	.interrupts = true,
	.tables = true,
	.plan = blob_plan,
};
static const struct boot_row plain = {
	.type = { "plain", "Looks for none", blob_options, 1 },
	.arches = ARCH_X86_64,
	.plan = blob_plan,
};
static const struct boot_row *const boots[] = { &kernel, &plain };

static struct {
	const struct device_row *devices[64];
	struct registry registry;
	struct diags *diags;
	struct config *config;
	struct plan *plan;
	struct memory *memory;
} got;

static int teardown(void **state)
{
	(void)state;
	memory_free(got.memory);
	plan_free(got.plan);
	config_free(got.config);
	diags_free(got.diags);
	memset(&got, 0, sizeof(got));
	return 0;
}

/* Plans the config, and writes its tables to guest memory, if it has any; the errors' number. */
static size_t make(const char *yaml)
{
	const struct device_row *const *rows;
	const struct vm_config *vm;
	struct err err;
	size_t n;

	teardown(NULL);
	rows = device_rows(&n);
	assert_true(n + 1 < ARRAY_SIZE(got.devices));
	memcpy(got.devices, rows, n * sizeof(*rows));
	got.devices[n] = &wide;
	got.devices[n + 1] = &huge;
	got.registry = (struct registry){ got.devices, n + 2, boots, ARRAY_SIZE(boots) };
	got.diags = diags_new();
	got.config = config_load_text("t", yaml, strlen(yaml), &got.registry, NULL, got.diags);
	assert_non_null(got.config);
	vm = config_vm(got.config);
	got.plan = plan_make(vm, &got.registry, arch_find(ARCH_X86_64), NULL, NULL, got.diags);
	assert_non_null(got.plan);
	if (diags_errors(got.diags))
		return diags_errors(got.diags);
	got.memory = memory_new();
	for (size_t i = 0; i < got.plan->n_regions; i++) {
		const struct plan_region *r = &got.plan->regions[i];

		if (r->space == SPACE_MEM && r->kind == REGION_RAM)
			assert_int_equal(
				memory_add(got.memory, r->start, r->last - r->start + 1, 0, &err),
				0);
	}
	if (got.plan->tables.private)
		assert_int_equal(got.plan->arch->write_tables(got.plan, got.memory, &err), 0);
	return 0;
}

static void make_good(const char *yaml)
{
	if (make(yaml)) {
		diags_print(got.diags, stderr, DIAG_TEXT, false);
		fail_msg("the config has errors");
	}
}

#define VM "arch: x86_64\nboot: {kernel: {}}\nmemory: 64M\n"

/* ---- Reading back ---------------------------------------------------------------------------- */

static const uint8_t *guest(uint64_t gpa, uint64_t len)
{
	const uint8_t *p = memory_ptr(got.memory, gpa, len, false);

	assert_non_null(p);
	return p;
}

static uint8_t sum(const uint8_t *p, size_t len)
{
	uint8_t total = 0;

	while (len--)
		total = (uint8_t)(total + *p++);
	return total;
}

/* A pointer into a table must stay in the region that the plan reserves for tables. */
static void assert_in_region(uint64_t start, uint64_t len, const char *owner)
{
	const struct plan_region *r =
		plan_region_at(got.plan, SPACE_MEM, 1U << REGION_TABLES, start);

	assert_non_null(r);
	assert_string_equal(r->owner, owner);
	assert_true(len && len <= r->last - start + 1);
}

/* A table with a good header; *len its length. */
static const uint8_t *table_at(uint64_t addr, uint32_t *len)
{
	*len = bytes_get32(guest(addr + 4, 4));
	assert_int_equal(addr % 16, 0);
	assert_true(*len >= 36);
	assert_in_region(addr, *len, "acpi");
	assert_int_equal(sum(guest(addr, *len), *len), 0);
	return guest(addr, *len);
}

/* By signature, by way of RSDP and XSDT as a guest goes, and FADT for the DSDT; or NULL. */
static const uint8_t *find(const char *signature, uint32_t *len)
{
	const uint8_t *rsdp = guest(got.plan->tables.rsdp, 36), *xsdt, *found = NULL;
	uint32_t xsdt_len;

	assert_memory_equal(rsdp, "RSD PTR ", 8);
	assert_int_equal(rsdp[15], 2);
	assert_int_equal(sum(rsdp, 20), 0);
	assert_int_equal(sum(rsdp, 36), 0);
	assert_int_equal(bytes_get32(rsdp + 20), 36);
	xsdt = table_at(bytes_get64(rsdp + 24), &xsdt_len);
	assert_memory_equal(xsdt, "XSDT", 4);
	assert_int_equal((xsdt_len - 36) % 8, 0);
	if (!strcmp(signature, "DSDT")) {
		const uint8_t *fadt = find("FACP", len);

		assert_int_equal(bytes_get32(fadt + 40), bytes_get64(fadt + 140));
		return table_at(bytes_get64(fadt + 140), len);
	}
	for (uint32_t at = 36; at < xsdt_len; at += 8) {
		uint32_t n;
		const uint8_t *t = table_at(bytes_get64(xsdt + at), &n);

		if (!memcmp(t, signature, 4)) {
			assert_null(found);
			found = t;
			*len = n;
		}
	}
	return found;
}

static const uint8_t *must_find(const char *signature, uint32_t *len)
{
	const uint8_t *t = find(signature, len);

	assert_non_null(t);
	return t;
}

/* How often the bytes stand in the DSDT. */
static unsigned dsdt_has(const void *bytes, size_t n)
{
	uint32_t len;
	const uint8_t *dsdt = must_find("DSDT", &len), *p = dsdt + 36;
	unsigned times = 0;

	while ((p = memmem(p, (size_t)(dsdt + len - p), bytes, n))) {
		times++;
		p++;
	}
	return times;
}

static const struct plan_claim *claim_of(const char *device, const char *name)
{
	for (size_t i = 0; i < got.plan->n_devices; i++) {
		const struct plan_device *dev = &got.plan->devices[i];

		for (unsigned c = 0; c < dev->n_claims; c++) {
			if (!strcmp(dev->label, device) &&
			    !strcmp(dev->claims[c].claim->name, name))
				return &dev->claims[c];
		}
	}
	fail_msg("no claim %s of %s", name, device);
	return NULL;
}

static void assert_ports(uint64_t start, unsigned size)
{
	uint8_t io[8] = { 0x47, 1, 0, 0, 0, 0, 1, (uint8_t)size };

	bytes_put16(io + 2, (uint16_t)start);
	bytes_put16(io + 4, (uint16_t)start);
	assert_int_equal(dsdt_has(io, sizeof(io)), 1);
}

static void assert_interrupt(uint64_t line)
{
	uint8_t irq[9] = { 0x89, 6, 0, 3, 1 };

	bytes_put32(irq + 5, (uint32_t)line);
	assert_int_equal(dsdt_has(irq, sizeof(irq)), 1);
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static void only_where_they_are_wanted(void **state)
{
	(void)state;
	make_good("arch: x86_64\nboot: {plain: {}}\nmemory: 64M\n");
	assert_null(got.plan->tables.private);
	assert_int_equal(got.plan->tables.rsdp, 0);
	make_good(VM "platform: {acpi: false}\n");
	assert_null(got.plan->tables.private);
	assert_int_equal(got.plan->arch->write_tables(got.plan, got.memory, NULL), 0);
	assert_null(plan_region_at(got.plan, SPACE_MEM, 1U << REGION_TABLES, 0xe0000));
	make_good(VM);
	assert_int_equal(got.plan->tables.rsdp, 0xe0000);
}

static void an_empty_machine_declares_everything_absent(void **state)
{
	uint32_t len;
	const uint8_t *fadt;

	(void)state;
	make_good(VM);
	fadt = must_find("FACP", &len);
	assert_int_equal(len, 276);
	assert_int_equal(fadt[8], 6);
	assert_int_equal(bytes_get16(fadt + 109), 1 << 2 | 1 << 5);
	assert_int_equal(bytes_get32(fadt + 112), 1 | 1 << 4 | 1 << 5 | 1 << 20);
	assert_int_equal(bytes_get64(fadt + 132), 0); /* no FACS */
	assert_int_equal(sum(fadt + 244, 24), 0);     /* no sleep registers */
	assert_int_equal(sum(fadt + 116, 13), 0);     /* no reset register */
	assert_null(find("SPCR", &len));
	assert_int_equal(dsdt_has("_S5_", 4), 0);
	assert_int_equal(dsdt_has("PWRB", 4), 0);
	assert_int_equal(dsdt_has("_HID", 4), 0);
}

static void fixed_registers_are_those_of_the_power_device(void **state)
{
	static const uint8_t s5[] = { 0x08, '_', 'S', '5', '_', 0x12, 0x04, 0x01, 0x0a, 0x05 };
	static const struct {
		unsigned at, reg;
	} gas[] = { { 244, 0 }, { 256, 1 }, { 116, 2 } };
	uint32_t len;
	const uint8_t *fadt;
	uint64_t port;

	(void)state;
	make_good(VM "devices: [acpi-pm: {port: 0x600, irq: 9}]\n");
	fadt = must_find("FACP", &len);
	port = claim_of("acpi-pm", "ports")->start;
	assert_int_equal(port, 0x600);
	for (size_t i = 0; i < ARRAY_SIZE(gas); i++) {
		assert_int_equal(bytes_get32(fadt + gas[i].at), 1 | 8 << 8 | 1 << 24);
		assert_int_equal(bytes_get64(fadt + gas[i].at + 4), port + gas[i].reg);
	}
	assert_int_equal(fadt[128], 1);
	assert_true(bytes_get32(fadt + 112) & 1 << 10);
	assert_int_equal(dsdt_has(s5, sizeof(s5)), 1);
	assert_interrupt(9);
	assert_int_equal(dsdt_has("ACPI0013", 9), 1);
	assert_int_equal(dsdt_has("_EVT", 4), 1);
	assert_int_equal(dsdt_has("PWRB", 4), 2); /* the object, and its notification */
}

static void without_a_line_there_is_no_power_button(void **state)
{
	(void)state;
	make_good(VM "devices: [acpi-pm: {irq: none}]\n");
	assert_int_equal(dsdt_has("_S5_", 4), 1);
	assert_int_equal(dsdt_has("PWRB", 4), 0);
	assert_int_equal(dsdt_has("ACPI0013", 8), 0);
}

static void boot_flags_follow_the_devices(void **state)
{
	static const struct {
		const char *devices;
		unsigned flags, century;
	} cases[] = {
		{ "uart16550", 1 << 0 | 1 << 2 | 1 << 5, 0 },
		{ "uart16550: {at: 0xd0000000}", 1 << 2 | 1 << 5, 0 },
		{ "i8042", 1 << 1 | 1 << 2 | 1 << 5, 0 },
		{ "rtc", 1 << 2, 0x32 },
		{ "uart16550, i8042, rtc", 1 << 0 | 1 << 1 | 1 << 2, 0x32 },
	};
	char yaml[200];
	uint32_t len;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(yaml, sizeof(yaml), VM "devices: [%s]\n", cases[i].devices);
		make_good(yaml);
		assert_int_equal(bytes_get16(must_find("FACP", &len) + 109), cases[i].flags);
		assert_int_equal(must_find("FACP", &len)[108], cases[i].century);
	}
}

static void objects_have_the_resources_of_the_plan(void **state)
{
	static const uint8_t com[] = { 0x08, '_', 'H', 'I', 'D', 0x0c, 0x41, 0xd0, 0x05, 0x01 };
	static const uint8_t clock[] = { 0x0c, 0x41, 0xd0, 0x0b, 0x00 };
	uint8_t memory[12] = { 0x86, 9, 0, 1 };

	(void)state;
	make_good(VM "devices: [uart16550, uart16550: {at: 0xd0000000, irq: none, input: false}, "
		     "rtc, pvpanic]\n");
	assert_int_equal(dsdt_has(com, sizeof(com)), 2);
	assert_int_equal(dsdt_has(clock, sizeof(clock)), 1);
	assert_int_equal(dsdt_has("_UID", 4), 2); /* two UARTs, one of the others */
	assert_ports(claim_of("uart16550", "ports")->start, 8);
	assert_interrupt(claim_of("uart16550", "interrupt")->start);
	bytes_put32(memory + 4, 0xd0000000);
	bytes_put32(memory + 8, 8);
	assert_int_equal(dsdt_has(memory, sizeof(memory)), 1);
	assert_ports(claim_of("rtc", "ports")->start, 2);
	assert_interrupt(claim_of("rtc", "interrupt")->start);
	assert_ports(0x505, 1);
	assert_int_equal(dsdt_has("\x0dQEMU0001", 10), 1);
	assert_int_equal(dsdt_has("_STA\x0a\x0f", 6), 1);
	assert_int_equal(dsdt_has("\x89\x06", 2), 2); /* interrupts of two, the others have none */
}

static void large_windows_have_wide_descriptors(void **state)
{
	uint8_t io[26] = { 0x87, 23, 0, 1, 0x0d, 0x03 };
	uint8_t high[46] = { 0x8a, 43, 0, 0, 0x0d, 0x01 };
	uint64_t port;

	(void)state;
	make_good(VM "devices: [wide: {at: 0x1000000000}]\n");
	port = claim_of("wide", "ports")->start;
	bytes_put32(io + 10, (uint32_t)port);
	bytes_put32(io + 14, (uint32_t)port + 0x3ff);
	bytes_put32(io + 22, 0x400);
	assert_int_equal(dsdt_has(io, sizeof(io)), 1);
	bytes_put64(high + 14, 0x1000000000);
	bytes_put64(high + 22, 0x11ffffffff);
	bytes_put64(high + 38, 0x200000000);
	assert_int_equal(dsdt_has(high, sizeof(high)), 1);
	assert_interrupt(claim_of("wide", "first")->start);
	assert_interrupt(claim_of("wide", "second")->start);
}

/* Follows the tree of packages to see that lengths nest: 20.2.4. Counts devices. */
static unsigned walk(const uint8_t *p, const uint8_t *last)
{
	unsigned devices = 0;

	while (last - p > 6) {
		bool device = p[0] == 0x5b && p[1] == 0x82;
		const uint8_t *at = p + 2;
		unsigned more = *at >> 6;
		size_t len = more ? *at & 0xf : *at & 0x3f;

		assert_true(device);
		for (unsigned i = 1; i <= more; i++)
			len |= (size_t)at[i] << (8 * i - 4);
		assert_true(more == 0 || len > 63);
		assert_true(len <= (size_t)(last - at));
		assert_int_equal(at[more + 1], 'D');
		p = at + len;
		devices++;
	}
	assert_ptr_equal(p, last);
	return devices;
}

static void many_devices_nest_well(void **state)
{
	static const unsigned counts[] = { 1, 2, 40, 1000 };
	char *yaml = malloc(100000);
	uint32_t len;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		int n = sprintf(yaml, VM "devices:\n");
		const uint8_t *dsdt;
		unsigned more;

		for (unsigned k = 0; k < counts[i]; k++)
			n += sprintf(yaml + n, " - uart16550: {at: %#x, irq: none, input: no}\n",
				     0xd0000000 + k * 8);
		make_good(yaml);
		dsdt = must_find("DSDT", &len);
		assert_int_equal(dsdt[36], 0x10);
		more = dsdt[37] >> 6;
		assert_memory_equal(dsdt + 38 + more, "\\_SB_", 5);
		assert_int_equal(walk(dsdt + 43 + more, dsdt + len), counts[i]);
	}
	free(yaml);
}

static void spcr_tells_of_the_first_serial_port(void **state)
{
	uint32_t len;
	const uint8_t *spcr;

	(void)state;
	make_good(VM "devices: [uart16550: {port: 0x2f8, irq: 3}, "
		     "uart16550: {port: 0x3f8, input: false}]\n");
	spcr = must_find("SPCR", &len);
	assert_int_equal(len, 80);
	assert_int_equal(spcr[36], 0);
	assert_int_equal(bytes_get32(spcr + 40), 1 | 8 << 8 | 1 << 24);
	assert_int_equal(bytes_get64(spcr + 44), 0x2f8);
	assert_int_equal(spcr[52], 2);
	assert_int_equal(bytes_get32(spcr + 54), 3);
	assert_int_equal(bytes_get32(spcr + 64), UINT32_MAX);

	make_good(VM "devices: [uart16550: {at: 0xd0000000, irq: none}]\n");
	spcr = must_find("SPCR", &len);
	assert_int_equal(spcr[40], 0);
	assert_int_equal(bytes_get64(spcr + 44), 0xd0000000);
	assert_int_equal(spcr[52], 0);
}

/* The MADT's entries: every vCPU once, with its APIC's ID, and the IOAPIC. */
static void assert_madt(unsigned vcpus)
{
	uint32_t len, at = 44;
	const uint8_t *madt = must_find("APIC", &len);
	unsigned n = 0, ioapics = 0;

	assert_int_equal(bytes_get32(madt + 36), 0xfee00000);
	while (at < len) {
		const uint8_t *e = madt + at;
		uint32_t id = hv_x86_apic_id(&got.plan->topology, n);

		assert_true(e[1] >= 8 && e[1] <= len - at);
		if (e[0] == 0) {
			assert_int_equal(e[1], 8);
			assert_int_equal(e[2], n++);
			assert_int_equal(e[3], id);
			assert_true(id < 255);
			assert_int_equal(bytes_get32(e + 4), 1);
		} else if (e[0] == 9) {
			assert_int_equal(e[1], 16);
			assert_int_equal(bytes_get32(e + 4), id);
			assert_int_equal(bytes_get32(e + 8), 1);
			assert_int_equal(bytes_get32(e + 12), n++);
			assert_true(id >= 255);
		} else {
			assert_int_equal(e[0], 1);
			assert_int_equal(e[1], 12);
			assert_int_equal(bytes_get32(e + 4), 0xfec00000);
			assert_int_equal(bytes_get32(e + 8), 0);
			ioapics++;
		}
		at += e[1];
	}
	assert_int_equal(at, len);
	assert_int_equal(n, vcpus);
	assert_int_equal(ioapics, 1);
}

static void madt_lists_every_processor(void **state)
{
	static const unsigned counts[] = { 1, 2, 64, 255 };
	uint32_t len;
	char yaml[100];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		snprintf(yaml, sizeof(yaml), VM "vcpus: %u\n", counts[i]);
		make_good(yaml);
		assert_madt(counts[i]);
		assert_int_equal(bytes_get32(must_find("APIC", &len) + 40), 0);
	}
	make_good(VM "vcpus: 6\ntopology: {sockets: 2, cores: 3}\n");
	assert_madt(6);
	make_good(VM "platform: {irqchip: full}\n");
	assert_int_equal(bytes_get32(must_find("APIC", &len) + 40), 1);
}

/* More than interrupts reach today, so the planner refuses them: the plan is changed by hand. */
static void most_processors_fit(void **state)
{
	static struct vm_config many;
	struct plan *plan;

	(void)state;
	make_good(VM);
	plan = got.plan;
	many = *plan->config;
	many.vcpus = 4096;
	free(plan->tables.private);
	plan->tables.private = NULL;
	for (size_t i = plan->n_regions; i-- > 0;) {
		if (plan->regions[i].kind != REGION_TABLES)
			continue;
		plan->n_regions--;
		memmove(&plan->regions[i], &plan->regions[i + 1],
			(plan->n_regions - i) * sizeof(plan->regions[0]));
	}
	plan->config = &many;
	plan->topology = (struct hv_topology){ 1, 4096, 1 };
	plan->arch->plan_tables(plan, got.diags);
	assert_int_equal(diags_errors(got.diags), 0);
	assert_int_equal(plan->tables.rsdp, 0xe0000);
	assert_int_equal(plan->arch->write_tables(plan, got.memory, NULL), 0);
	assert_madt(4096);
	assert_in_region(0xff000, 24, "smbios");
	plan->config = config_vm(got.config);
}

static void tables_go_high_without_room_below_1_mib(void **state)
{
	uint32_t len;

	(void)state;
	make_good("arch: x86_64\nboot: {kernel: {}}\ndevices: [uart16550]\nmemory:\n"
		  " - ram: {at: 0, size: 640K}\n - ram: {at: 1M, size: 15M}\n");
	assert_int_equal(got.plan->tables.rsdp, 16 * 1024 * KIB - 4096);
	must_find("DSDT", &len);
	must_find("SPCR", &len);
	assert_null(plan_region_at(got.plan, SPACE_MEM, 1U << REGION_TABLES, 0xff000));
}

static void no_room_at_all_is_an_error(void **state)
{
	(void)state;
	/* Code at 0x1000, and GDT and page tables, 7 pages, take all there is. */
	assert_int_equal(make("arch: x86_64\nboot: {kernel: {}}\nmemory:\n"
			      " - ram: {at: 0x1000, size: 32K}\n"),
			 1);
	assert_null(got.plan->tables.private);
}

static void tables_fit_into_two_pieces_of_ram(void **state)
{
	(void)state;
	make_good("arch: x86_64\nboot: {kernel: {}}\nmemory:\n - ram: {at: 0, size: 900K}\n"
		  " - ram: {at: 0xf0000, size: 64K}\n");
	assert_int_equal(got.plan->tables.rsdp, 0xe0000);
	assert_in_region(0xff000, 24, "smbios");
}

/* ---- SMBIOS ---------------------------------------------------------------------------------- */

static const uint8_t *smbios_structure(unsigned type, const char **texts)
{
	const uint8_t *entry = guest(0xff000, 24), *p, *end;
	unsigned seen = 0;

	assert_memory_equal(entry, "_SM3_", 5);
	assert_int_equal(entry[6], 24);
	assert_int_equal(sum(entry, 24), 0);
	p = guest(bytes_get64(entry + 16), bytes_get32(entry + 12));
	assert_in_region(bytes_get64(entry + 16), bytes_get32(entry + 12), "smbios");
	for (end = p + bytes_get32(entry + 12); p < end; seen++) {
		const uint8_t *text = p + p[1];

		assert_int_equal(bytes_get16(p + 2), seen); /* handles are unique */
		if (p[0] == type) {
			*texts = (const char *)text;
			return p;
		}
		assert_int_not_equal(p[0], 127);
		text = memmem(text, (size_t)(end - text), "\0\0", 2);
		assert_non_null(text);
		p = text + 2;
	}
	fail_msg("no structure of type %u", type);
	return NULL;
}

static const char *text_at(const uint8_t *structure, const char *texts, unsigned at)
{
	unsigned n = structure[at];

	while (n-- > 1)
		texts += strlen(texts) + 1;
	return structure[at] ? texts : NULL;
}

static void smbios_tells_what_the_config_says(void **state)
{
	static const uint8_t uuid[] = { 0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66,
					0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff };
	const char *texts = NULL;
	const uint8_t *s;

	(void)state;
	make_good(VM "smbios: {vendor: ACME, product: Anvil, version: '2', serial: S-1, "
		     "uuid: 00112233-4455-6677-8899-aabbccddeeff}\n");
	s = smbios_structure(1, &texts);
	assert_int_equal(s[1], 27);
	assert_string_equal(text_at(s, texts, 4), "ACME");
	assert_string_equal(text_at(s, texts, 5), "Anvil");
	assert_string_equal(text_at(s, texts, 6), "2");
	assert_string_equal(text_at(s, texts, 7), "S-1");
	assert_memory_equal(s + 8, uuid, 16);
	s = smbios_structure(0, &texts);
	assert_int_equal(s[1], 26);
	assert_string_equal(text_at(s, texts, 4), "vibevmm");
	assert_int_equal(s[19] & 1 << 4, 1 << 4); /* a virtual machine */
	s = smbios_structure(127, &texts);
	assert_int_equal(s[1], 4);
}

static void smbios_leaves_out_what_the_config_does(void **state)
{
	static const uint8_t none[16];
	const char *texts = NULL;
	const uint8_t *s;

	(void)state;
	make_good(VM);
	s = smbios_structure(1, &texts);
	assert_string_equal(text_at(s, texts, 4), "vibevmm");
	assert_null(text_at(s, texts, 6));
	assert_null(text_at(s, texts, 7));
	assert_memory_equal(s + 8, none, 16);
	smbios_structure(3, &texts);
	smbios_structure(32, &texts);
	smbios_structure(127, &texts);
}

/* ---- PCI ------------------------------------------------------------------------------------- */

/* Segment 0, bus 0: PCI Firmware Specification 3.2, 4.1.2. */
static void mcfg_tells_where_configuration_space_is(void **state)
{
	const uint8_t *mcfg;
	uint32_t len;

	(void)state;
	make_good(VM "devices: [virtio-rng]\n");
	mcfg = must_find("MCFG", &len);
	assert_int_equal(len, 60);
	assert_int_equal(bytes_get64(mcfg + 44), claim_of("pci-host", "config")->start);
	assert_int_equal(bytes_get32(mcfg + 52), 0);
	make_good(VM);
	assert_null(find("MCFG", &len));
	assert_int_equal(dsdt_has("PCI0", 4), 0);
	assert_int_equal(dsdt_has("ECAM", 4), 0);
}

/* ACPI 6.4, 6.2.13: function 0xffff of a slot, the pin, no link device, the line. Pins 0 and 1. */
static unsigned routes(unsigned slot)
{
	uint8_t entry[] = { 0x12, 0x0b, 4, 0x0c, 0xff, 0xff, (uint8_t)slot, 0, 0, 0, 0x0a, 0 };
	unsigned n = 0;

	entry[11] = (uint8_t)claim_of("pci-host", "intx")->start;
	for (uint8_t pin = 0; pin < 2; pin++) {
		entry[8] = pin;
		n += dsdt_has(entry, sizeof(entry));
	}
	return n;
}

static void each_slot_in_use_has_its_pins_routed(void **state)
{
	(void)state;
	make_good(VM "devices: [{virtio-rng: {slot: 3}}, {virtio-rng: {slot: 19}}]\n");
	assert_int_equal(routes(3), 2);
	assert_int_equal(routes(19), 2);
	assert_int_equal(routes(0), 0);
	assert_int_equal(routes(1), 0);
	assert_int_equal(dsdt_has("_PRT\x12", 5), 1);
	make_good(VM "devices: [virtio-rng, pci-host: {irq: none}]\n");
	assert_int_equal(dsdt_has("_PRT", 4), 0);
}

/* ACPI 6.4, 6.4.3.5: memory and ports that the bridge hands on; both ends are fixed. */
static void windows_are_handed_on(void **state)
{
	uint8_t low[26] = { 0x87, 23, 0, 0, 0x0c, 1 }, high[46] = { 0x8a, 43, 0, 0, 0x0c, 1 };
	static const uint8_t bus[] = { 0x88, 13, 0, 2, 0x0c, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0 };
	static const uint8_t io[] = { 0x88, 13,	  0,	1,    0x0c, 3, 0,    0,
				      0x00, 0xc0, 0xff, 0xcf, 0,    0, 0x00, 0x10 };

	(void)state;
	bytes_put32(low + 10, 0xd0000000);
	bytes_put32(low + 14, 0xdfffffff);
	bytes_put32(low + 22, 0x10000000);
	bytes_put64(high + 14, 0x8000000000);
	bytes_put64(high + 22, 0xffffffffff);
	bytes_put64(high + 38, 0x8000000000);
	make_good(VM "devices: [virtio-rng]\n");
	assert_int_equal(dsdt_has(low, sizeof(low)), 1);
	assert_int_equal(dsdt_has(high, sizeof(high)), 0);
	assert_int_equal(dsdt_has(bus, sizeof(bus)), 1);
	assert_int_equal(dsdt_has(io, sizeof(io)), 1);
	assert_ports(0xcf8, 8);
	make_good(VM "devices: [huge]\n");
	assert_int_equal(dsdt_has(low, sizeof(low)), 1);
	assert_int_equal(dsdt_has(high, sizeof(high)), 1);
}

static void only_devices_without_pci_have_objects(void **state)
{
	uint8_t irq[9] = { 0x89, 6, 0, 1, 1, 20 }; /* by level */

	(void)state;
	make_good(VM "devices: [virtio-rng, {virtio-rng: {transport: mmio, at: 0xc8000000, "
		     "irq: 20}}]\n");
	assert_int_equal(dsdt_has("LNRO0005", 8), 1);
	assert_int_equal(dsdt_has(irq, sizeof(irq)), 1);
	make_good(VM "devices: [virtio-rng, virtio-rng]\n");
	assert_int_equal(dsdt_has("LNRO0005", 8), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(only_where_they_are_wanted, teardown),
		cmocka_unit_test_teardown(an_empty_machine_declares_everything_absent, teardown),
		cmocka_unit_test_teardown(fixed_registers_are_those_of_the_power_device, teardown),
		cmocka_unit_test_teardown(without_a_line_there_is_no_power_button, teardown),
		cmocka_unit_test_teardown(boot_flags_follow_the_devices, teardown),
		cmocka_unit_test_teardown(objects_have_the_resources_of_the_plan, teardown),
		cmocka_unit_test_teardown(large_windows_have_wide_descriptors, teardown),
		cmocka_unit_test_teardown(many_devices_nest_well, teardown),
		cmocka_unit_test_teardown(spcr_tells_of_the_first_serial_port, teardown),
		cmocka_unit_test_teardown(madt_lists_every_processor, teardown),
		cmocka_unit_test_teardown(most_processors_fit, teardown),
		cmocka_unit_test_teardown(tables_go_high_without_room_below_1_mib, teardown),
		cmocka_unit_test_teardown(no_room_at_all_is_an_error, teardown),
		cmocka_unit_test_teardown(tables_fit_into_two_pieces_of_ram, teardown),
		cmocka_unit_test_teardown(smbios_tells_what_the_config_says, teardown),
		cmocka_unit_test_teardown(smbios_leaves_out_what_the_config_does, teardown),
		cmocka_unit_test_teardown(mcfg_tells_where_configuration_space_is, teardown),
		cmocka_unit_test_teardown(each_slot_in_use_has_its_pins_routed, teardown),
		cmocka_unit_test_teardown(windows_are_handed_on, teardown),
		cmocka_unit_test_teardown(only_devices_without_pci_have_objects, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
