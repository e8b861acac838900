/* test_fdt.c: the device tree of an arm64 VM, read back by libfdt from guest memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <libfdt.h>

#include <vibevmm/bytes.h>
#include <vibevmm/machine.h>
#include <vibevmm/plan.h>

#include "plan_helpers.h"

#define MIB (1ULL << 20)

static char dir[] = "/tmp/test_fdt.XXXXXX";

static struct planned got;
static struct memory *memory;
static const void *tree; /* in guest memory */

static int teardown(void **state)
{
	(void)state;
	memory_free(memory);
	memory = NULL;
	planned_free(&got);
	return 0;
}

/* Plans the config; the number of errors. */
static size_t plan(const char *yaml)
{
	teardown(NULL);
	put_file("vm.yaml", yaml, strlen(yaml));
	return planned_make(&got);
}

/* Plans it, and puts its tree where the guest finds it. */
static void make(const char *yaml)
{
	const struct plan *p;
	struct err err;

	if (plan(yaml))
		fail_msg("%s", got.said);
	p = got.plan;
	memory = memory_new();
	for (size_t i = 0; i < p->n_regions; i++) {
		const struct plan_region *r = &p->regions[i];

		if (r->space == SPACE_MEM && r->kind == REGION_RAM)
			assert_int_equal(
				memory_add(memory, r->start, r->last - r->start + 1, 0, &err), 0);
	}
	assert_true(p->tables.wanted);
	assert_non_null(p->tables.private);
	assert_int_equal(p->arch->write_tables(p, memory, &err), 0);
	tree = memory_ptr(memory, p->entry.x0, 4096, false);
	assert_non_null(tree);
	assert_int_equal(fdt_check_header(tree), 0);
	tree = memory_ptr(memory, p->entry.x0, fdt_totalsize(tree), false);
	assert_int_equal(fdt_check_full(tree, fdt_totalsize(tree)), 0);
}

/* ---- Looking ------------------------------------------------------------------------------- */

static const void *property(const char *path, const char *name, int *len)
{
	int node = fdt_path_offset(tree, path);
	const void *value;

	if (node < 0)
		fail_msg("no node %s", path);
	value = fdt_getprop(tree, node, name, len);
	if (!value)
		fail_msg("no property %s in %s", name, path);
	return value;
}

static bool has(const char *path)
{
	return fdt_path_offset(tree, path) >= 0;
}

static void check_text(const char *path, const char *name, const char *want)
{
	int len;
	const char *value = property(path, name, &len);

	assert_string_equal(value, want);
}

static void check_cells(const char *path, const char *name, const uint32_t *want, size_t n)
{
	int len;
	const fdt32_t *value = property(path, name, &len);

	assert_int_equal(len, n * 4);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(fdt32_ld(value + i), want[i]);
}
#define CHECK_CELLS(path, name, ...)                                                               \
	check_cells(path, name, (const uint32_t[]){ __VA_ARGS__ },                                 \
		    ARRAY_SIZE(((const uint32_t[]){ __VA_ARGS__ })))

/* dtc reads it without a word. */
static void check_by_dtc(void)
{
	FILE *said;
	char line[200];

	if (system("command -v dtc >/dev/null")) {
		print_message("dtc is not here: make deps-test\n");
		return;
	}
	put_file("vm.dtb", tree, fdt_totalsize(tree));
	said = popen("dtc -I dtb -O dts -o vm.dts vm.dtb 2>&1", "r");
	assert_non_null(said);
	if (fgets(line, sizeof(line), said))
		fail_msg("dtc: %s", line);
	assert_int_equal(pclose(said), 0);
}

/* ---- Tests --------------------------------------------------------------------------------- */

static const char linux_vm[] =
	"arch: arm64\n"
	"vcpus: 4\n"
	"topology: {sockets: 2, threads: 2}\n"
	"memory: [ram: {at: 0x40000000, size: 64M}, "
	"ram: {at: 0x100000000, size: 32M}]\n"
	"boot: {linux: {kernel: Image, initrd: initrd, cmdline: console=x}}\n"
	"devices: [uart16550, pl011, pl031]\n";

static void linux_machine_is_told_of_all_it_has(void **state)
{
	(void)state;
	make(linux_vm);
	check_by_dtc();
	check_text("/chosen", "bootargs", "console=x");
	check_text("/chosen", "stdout-path", "/serial@9002000");
	CHECK_CELLS("/memory@40000000", "reg", 0, 0x40000000, 0, 64 * MIB);
	CHECK_CELLS("/memory@100000000", "reg", 1, 0, 0, 32 * MIB);
	check_text("/psci", "compatible", "arm,psci-1.0");
	check_text("/psci", "method", "hvc");
	CHECK_CELLS("/cpus/cpu@3", "reg", 3);
	assert_false(has("/cpus/cpu@4"));
	assert_false(has("/pmu"));
	CHECK_CELLS("/timer", "interrupts", 1, 13, 4, 1, 14, 4, 1, 11, 4, 1, 10, 4);
	check_text("/interrupt-controller@8000000", "compatible", "arm,gic-v3");
	CHECK_CELLS("/interrupt-controller@8000000", "reg", 0, 0x08000000, 0, 0x10000, 0,
		    0x080a0000, 0, 0x80000);
	CHECK_CELLS("/interrupt-controller@8000000/msi-controller@8080000", "reg", 0, 0x08080000, 0,
		    0x20000);
	check_text("/serial@9000000", "compatible", "arm,pl011");
	CHECK_CELLS("/serial@9000000", "interrupts", 0, 1, 4);
	CHECK_CELLS("/serial@9002000", "reg", 0, 0x09002000, 0, 8);
	CHECK_CELLS("/rtc@9010000", "interrupts", 0, 2, 4);
	assert_true(has("/gpio@9030000"));
	CHECK_CELLS("/gpio-keys/power-button", "linux,code", 116);
	assert_true(has("/pvpanic@9001000"));
}

static void vcpus_are_in_their_sockets(void **state)
{
	int len, node;

	(void)state;
	make(linux_vm);
	for (unsigned i = 0; i < 4; i++) {
		char path[80];
		const fdt32_t *cpu;
		uint32_t want;

		snprintf(path, sizeof(path), "/cpus/cpu-map/socket%u/cluster0/core0/thread%u",
			 i / 2, i % 2);
		cpu = property(path, "cpu", &len);
		node = fdt_node_offset_by_phandle(tree, fdt32_ld(cpu));
		assert_true(node >= 0);
		want = fdt32_ld(fdt_getprop(tree, node, "reg", &len));
		assert_int_equal(want, i);
	}
	assert_false(has("/cpus/cpu-map/socket2"));
	assert_false(has("/cpus/cpu-map/socket0/cluster0/core1"));
}

static void initrd_is_where_the_tree_says(void **state)
{
	int len;
	uint64_t start, stop;

	(void)state;
	make(linux_vm);
	start = fdt64_ld(property("/chosen", "linux,initrd-start", &len));
	stop = fdt64_ld(property("/chosen", "linux,initrd-end", &len));
	assert_int_equal(stop - start, 5000);
	assert_non_null(plan_region_at(got.plan, SPACE_MEM, 1U << REGION_BOOT, start));
	assert_non_null(plan_region_at(got.plan, SPACE_MEM, 1U << REGION_BOOT, stop - 1));
}

static void seeds_differ_each_time_and_are_not_in_the_plan(void **state)
{
	uint8_t first[64];
	struct err err;
	int len;

	(void)state;
	make(linux_vm);
	memcpy(first, property("/chosen", "rng-seed", &len), sizeof(first));
	assert_int_equal(len, 64);
	property("/chosen", "kaslr-seed", &len);
	assert_int_equal(len, 8);
	assert_int_equal(got.plan->arch->write_tables(got.plan, memory, &err), 0);
	assert_memory_not_equal(first, property("/chosen", "rng-seed", &len), sizeof(first));
}

static int no_seed(void *arg, const char *name, const void *bytes, size_t len)
{
	(void)arg;
	assert_string_equal(name, "vm.dtb");
	assert_int_equal(fdt_check_full(bytes, len), 0);
	assert_null(fdt_getprop(bytes, fdt_path_offset(bytes, "/chosen"), "rng-seed", NULL));
	return 7;
}

static void written_tree_has_no_seed(void **state)
{
	(void)state;
	make(linux_vm);
	assert_int_equal(got.plan->arch->each_table(got.plan, no_seed, NULL), 7);
}

static void gicv2_and_counters_are_told(void **state)
{
	(void)state;
	make("arch: arm64\nvcpus: 2\nplatform: {gic: v2, pmu: true}\n"
	     "boot: {linux: {kernel: Image}}\n");
	check_by_dtc();
	check_text("/interrupt-controller@8000000", "compatible", "arm,gic-400");
	CHECK_CELLS("/interrupt-controller@8000000", "reg", 0, 0x08000000, 0, 0x1000, 0, 0x08010000,
		    0, 0x2000);
	assert_false(has("/interrupt-controller@8000000/msi-controller@8080000"));
	CHECK_CELLS("/pmu", "interrupts", 1, 7, 4);
}

#define BRIDGE "/pcie@30000000"

/* Four pins to one line, through a controller whose addresses have two cells. */
static void check_pins(uint32_t line)
{
	uint32_t want[40] = { 0 };

	for (uint32_t pin = 1; pin <= 4; pin++) {
		uint32_t *entry = want + (pin - 1) * 10;

		entry[3] = pin;
		entry[4] = fdt_get_phandle(tree,
					   fdt_path_offset(tree, "/interrupt-controller@8000000"));
		entry[8] = line;
		entry[9] = 4;
	}
	check_cells(BRIDGE, "interrupt-map", want, ARRAY_SIZE(want));
	CHECK_CELLS(BRIDGE, "interrupt-map-mask", 0, 0, 0, 7);
}

static void pci_bus_is_told_with_who_takes_its_messages(void **state)
{
	const struct plan_claim *intx;
	uint32_t its;
	int len;

	(void)state;
	make("arch: arm64\nboot: {linux: {kernel: Image}}\n"
	     "devices: [virtio-rng, virtio-rng: {transport: mmio, at: 0x9008000, irq: 40}]\n");
	check_by_dtc();
	check_text(BRIDGE, "compatible", "pci-host-ecam-generic");
	check_text(BRIDGE, "device_type", "pci");
	CHECK_CELLS(BRIDGE, "reg", 0, 0x30000000, 0, 0x100000);
	CHECK_CELLS(BRIDGE, "bus-range", 0, 0);
	CHECK_CELLS(BRIDGE, "ranges", 0x02000000, 0, 0x10000000, 0, 0x10000000, 0, 0x20000000);
	property(BRIDGE, "dma-coherent", &len);
	intx = plan_device_claim(plan_find_role(got.plan, ROLE_PCI), SPACE_IRQ);
	check_pins((uint32_t)intx->start);
	its = fdt_get_phandle(tree, fdt_path_offset(tree, "/interrupt-controller@8000000/"
							  "msi-controller@8080000"));
	CHECK_CELLS(BRIDGE, "msi-map", 0, its, 0, 0x100);
	assert_null(fdt_getprop(tree, fdt_path_offset(tree, BRIDGE), "msi-parent", NULL));
	CHECK_CELLS("/virtio@9008000", "interrupts", 0, 40, 4);
	property("/virtio@9008000", "dma-coherent", &len);
}

static void gicv2_has_a_frame_for_messages_of_pci(void **state)
{
	const struct plan_claim *frame;
	char path[80];
	int node;

	(void)state;
	make("arch: arm64\nplatform: {gic: v2}\nboot: {linux: {kernel: Image}}\n"
	     "devices: [virtio-rng]\n");
	check_by_dtc();
	frame = plan_device_claim(plan_find_role(got.plan, ROLE_MSI), SPACE_MEM);
	assert_non_null(frame);
	snprintf(path, sizeof(path), "/interrupt-controller@8000000/v2m@%llx",
		 (unsigned long long)frame->start);
	check_text(path, "compatible", "arm,gic-v2m-frame");
	CHECK_CELLS(path, "reg", 0, (uint32_t)frame->start, 0, 0x1000);
	node = fdt_path_offset(tree, path);
	CHECK_CELLS(BRIDGE, "msi-parent", fdt_get_phandle(tree, node));
	check_pins(
		(uint32_t)plan_device_claim(plan_find_role(got.plan, ROLE_PCI), SPACE_IRQ)->start);
}

static void redistributors_in_two_places_are_told(void **state)
{
	(void)state;
	make("arch: arm64\nvcpus: 130\nboot: {linux: {kernel: Image}}\n");
	check_by_dtc();
	CHECK_CELLS("/interrupt-controller@8000000", "#redistributor-regions", 2);
	CHECK_CELLS("/interrupt-controller@8000000", "reg", 0, 0x08000000, 0, 0x10000, 0,
		    0x080a0000, 0, 123 * 0x20000, 0, 0x0c000000, 0, 7 * 0x20000);
}

/* Hypervisor.framework's are as many whatever the number of vCPUs. */
static void all_redistributors_of_a_backend_are_told(void **state)
{
	(void)state;
	make("arch: arm64\nbackend: hvf\nvcpus: 2\nboot: {linux: {kernel: Image}}\n");
	check_by_dtc();
	CHECK_CELLS("/interrupt-controller@8000000", "reg", 0, 0x08000000, 0, 0x10000, 0,
		    0x0c000000, 0, 256 * 0x20000);
}

static void many_vcpus_fit(void **state)
{
	(void)state;
	make("arch: arm64\nvcpus: 100\nboot: {linux: {kernel: Image}}\n");
	check_by_dtc();
	CHECK_CELLS("/cpus/cpu@603", "reg", 0x603); /* 99 = 6 * 16 + 3 */
}

static void tree_lies_clear_in_a_slot_of_its_own(void **state)
{
	uint64_t x0;

	(void)state;
	make(linux_vm);
	x0 = got.plan->entry.x0;
	assert_int_equal(x0 % (2 * MIB), 0);
	assert_true(x0 >= 0x40000000 + 8 * MIB); /* behind image_size */
	assert_true(x0 < 0x40000000 + 512 * MIB);
}

static void raw_guest_asks_for_a_tree(void **state)
{
	static const char plain[] = "arch: arm64\nmemory: [ram: {at: 0x40000000, size: 1M}]\n"
				    "boot: {raw: {file: initrd, load: 0x40010000";
	char yaml[300];

	(void)state;
	snprintf(yaml, sizeof(yaml), "%s}}\n", plain);
	assert_int_equal(plan(yaml), 0);
	assert_null(got.plan->tables.private);
	assert_int_equal(got.plan->entry.x0, 0);
	snprintf(yaml, sizeof(yaml), "%s, dtb_at: 0x40000000}}\ndevices: [pl011]\n", plain);
	make(yaml);
	check_by_dtc();
	assert_int_equal(got.plan->entry.x0, 0x40000000);
	assert_false(has("/timer")); /* no interrupt controller was asked for */
	check_text("/chosen", "stdout-path", "/serial@9000000");
	snprintf(yaml, sizeof(yaml), "%s, dtb_at: 0x40010ff8}}\n", plain);
	assert_int_equal(plan(yaml), 1);
	assert_non_null(strstr(got.said, "overlaps"));
}

static void own_tree_gets_command_line_and_initrd(void **state)
{
	static char own[400] __attribute__((aligned(8))); /* as libfdt wants it */
	int len;

	(void)state;
	assert_int_equal(fdt_create_empty_tree(own, sizeof(own)), 0);
	assert_int_equal(fdt_setprop_string(own, 0, "model", "mine"), 0);
	put_file("own.dtb", own, sizeof(own));
	make("arch: arm64\nboot: {linux: {kernel: Image, initrd: initrd, cmdline: a=b, "
	     "dtb: own.dtb}}\n");
	check_text("/", "model", "mine");
	check_text("/chosen", "bootargs", "a=b");
	property("/chosen", "linux,initrd-end", &len);
	property("/chosen", "rng-seed", &len);
	assert_false(has("/cpus"));
}

static void bad_own_trees_are_refused(void **state)
{
	static const char yaml[] = "arch: arm64\nboot: {linux: {kernel: Image, dtb: bad.dtb}}\n";
	static char big[2 * MIB + 4096] __attribute__((aligned(8))), value[2 * MIB - 400];

	(void)state;
	put_file("bad.dtb", "dtb", 3);
	assert_int_equal(plan(yaml), 1);
	assert_non_null(strstr(got.said, "no device tree"));
	assert_int_equal(fdt_create_empty_tree(big, 400), 0);
	put_file("bad.dtb", big, 60); /* cut off */
	assert_int_equal(plan(yaml), 1);
	assert_non_null(strstr(got.said, "damaged"));
	put_file("bad.dtb", big, sizeof(big));
	assert_int_equal(plan(yaml), 1);
	assert_non_null(strstr(got.said, "at most 2M"));
	assert_int_equal(fdt_create_empty_tree(big, 2 * MIB), 0);
	assert_int_equal(fdt_setprop(big, 0, "x", value, sizeof(value)), 0);
	put_file("bad.dtb", big, 2 * MIB);
	plan("arch: arm64\nboot: {linux: {kernel: Image, dtb: bad.dtb, cmdline: "
	     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	     "}}\n");
	assert_int_equal(diags_errors(got.diags), 1);
	assert_non_null(strstr(got.said, "beyond the 2M"));
	plan("arch: arm64\nboot: {linux: {kernel: Image, dtb: none.dtb}}\n");
	assert_int_equal(diags_errors(got.diags), 1);
	assert_non_null(strstr(got.said, "none.dtb"));
}

static int group_setup(void **state)
{
	uint8_t image[4096] = { 0 };

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	bytes_put64(image + 16, 8 * MIB);
	memcpy(image + 56, "ARM\x64", 4);
	put_file("Image", image, sizeof(image));
	memset(image, 'i', sizeof(image));
	put_file("initrd", image, sizeof(image));
	assert_int_equal(truncate("initrd", 5000), 0);
	return 0;
}

static int group_teardown(void **state)
{
	static const char *const files[] = { "Image",  "initrd",  "vm.yaml", "vm.dtb",
					     "vm.dts", "own.dtb", "bad.dtb" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		unlink(files[i]);
	return chdir("/") || rmdir(dir);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_teardown(name, teardown)
		TEST(linux_machine_is_told_of_all_it_has),
		TEST(vcpus_are_in_their_sockets),
		TEST(initrd_is_where_the_tree_says),
		TEST(seeds_differ_each_time_and_are_not_in_the_plan),
		TEST(written_tree_has_no_seed),
		TEST(gicv2_and_counters_are_told),
		TEST(pci_bus_is_told_with_who_takes_its_messages),
		TEST(gicv2_has_a_frame_for_messages_of_pci),
		TEST(redistributors_in_two_places_are_told),
		TEST(all_redistributors_of_a_backend_are_told),
		TEST(many_vcpus_fit),
		TEST(tree_lies_clear_in_a_slot_of_its_own),
		TEST(raw_guest_asks_for_a_tree),
		TEST(own_tree_gets_command_line_and_initrd),
		TEST(bad_own_trees_are_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
