/* test_vfio_host.c: what is said of a host that has a function to pass through, or not: its /sys
 * and /dev are folders made here. And the room that the planner keeps. */
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <vibevmm/bytes.h>
#include <vibevmm/finding.h>
#include <vibevmm/machine.h>

#include "../../src/vfio/vfio.h"

/* ---- A host ---------------------------------------------------------------------------------- */

static char root[] = "/tmp/test_vfio_host.XXXXXX", sys[64], dev[64];

static void make_dir(const char *fmt, const char *a, const char *b)
{
	char path[256];

	snprintf(path, sizeof(path), fmt, a, b);
	for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')); p++) {
		*p = 0;
		assert_true(!mkdir(path, 0755) || errno == EEXIST);
		*p = '/';
	}
	assert_true(!mkdir(path, 0755) || errno == EEXIST);
}

static void make_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

/* A function, in a group and with a driver unless these are NULL. */
static void add_function(const char *name, const char *class, const char *group, const char *driver)
{
	char path[256], target[256];

	make_dir("%s/bus/pci/devices/%s", sys, name);
	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/class", sys, name);
	make_file(path, class);
	if (group) {
		make_dir("%s/kernel/iommu_groups/%s/devices", sys, group);
		snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/iommu_group", sys, name);
		snprintf(target, sizeof(target), "../../../../kernel/iommu_groups/%s", group);
		assert_int_equal(symlink(target, path), 0);
		snprintf(path, sizeof(path), "%s/kernel/iommu_groups/%s/devices/%s", sys, group,
			 name);
		make_file(path, "");
	}
	if (driver) {
		snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/driver", sys, name);
		snprintf(target, sizeof(target), "../../../../bus/pci/drivers/%s", driver);
		assert_int_equal(symlink(target, path), 0);
	}
}

static void add_node(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dev, name);
	make_file(path, "");
	assert_int_equal(chmod(path, 0666), 0);
}

/* Root may do everything, so somebody else asks. */
static void be_somebody(bool on)
{
	static bool was_root;

	if (on)
		was_root = !geteuid();
	if (was_root)
		assert_int_equal(seteuid(on ? 65534 : 0), 0);
}

static int setup(void **state)
{
	(void)state;
	strcpy(strchr(root, '.') + 1, "XXXXXX");
	if (!mkdtemp(root) || chmod(root, 0755))
		return -1;
	snprintf(sys, sizeof(sys), "%s/sys", root);
	snprintf(dev, sizeof(dev), "%s/dev/vfio", root);
	make_dir("%s%s", sys, "");
	make_dir("%s%s", dev, "");
	vfio_sys = sys;
	vfio_dev = dev;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static int teardown(void **state)
{
	(void)state;
	return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* ---- What is said ---------------------------------------------------------------------------- */

#define VM(options)                                                                                \
	"arch: x86_64\nmemory: [ram: {at: 0, size: 64M}]\nboot: {raw: {file: /proc/self/exe}}\n"   \
	"devices:\n  - vfio-pci: {host: \"01:00.0\"" options "}\n"

static struct findings found;

static void examine(uint64_t ram)
{
	static const char text[] = VM("");
	struct diags *diags = diags_new();
	struct config *config = config_load_text("test.yaml", text, sizeof(text) - 1,
						 machine_registry(), NULL, diags);
	struct plan *plan = plan_make(config_vm(config), machine_registry(), arch_find(ARCH_X86_64),
				      NULL, NULL, diags);

	if (diags_errors(diags))
		diags_print(diags, stderr, DIAG_TEXT, false);
	assert_int_equal(diags_errors(diags), 0);
	plan->ram_size = ram;
	found = (struct findings){ 0 };
	plan->devices[0].row->examine(plan, &plan->devices[0], &found);
	for (size_t i = 0; i < found.n; i++) {
		assert_int_equal(found.list[i].mark.line, 5);
		found.list[i].mark = MARK_NONE;
	}
	plan_free(plan);
	config_free(config);
	diags_free(diags);
}

/* One thing is missing, and this mends it. */
static void expect_found_missing(const char *text, const char *command)
{
	assert_int_equal(found.n, 1);
	assert_int_equal(found.list[0].state, FINDING_MISSING);
	if (!strstr(found.list[0].text, text))
		fail_msg("'%s' is not in: %s", text, found.list[0].text);
	assert_string_equal(found.list[0].command, command);
	findings_free(&found);
}

static void expect_missing(const char *text, const char *command)
{
	examine(1 << 20);
	expect_found_missing(text, command);
}

static void a_function_that_is_not_there(void **state)
{
	(void)state;
	expect_missing("no PCI function 0000:01:00.0", "lspci -D");
}

static void a_bridge(void **state)
{
	(void)state;
	add_function("0000:01:00.0", "0x060400\n", "3", "pcieport");
	expect_missing("is a bridge", "lspci -D -t");
}

static void no_iommu(void **state)
{
	(void)state;
	add_function("0000:01:00.0", "0x010802\n", NULL, "vfio-pci");
	expect_missing("IOMMU is off", "");
}

static void no_driver(void **state)
{
	(void)state;
	add_function("0000:01:00.0", "0x010802\n", "3", NULL);
	expect_missing("has no driver here; it must be bound to vfio-pci",
		       "sudo sh -c 'modprobe vfio-pci; cd /sys/bus/pci; echo vfio-pci "
		       ">devices/0000:01:00.0/driver_override; echo 0000:01:00.0 >drivers_probe'");
}

/* As on hosts with a device tree. */
static void no_driver_and_so_no_group_yet(void **state)
{
	(void)state;
	add_function("0000:01:00.0", "0x010802\n", NULL, NULL);
	expect_missing("IOMMU is off", "");
	make_dir("%s/class/iommu/%s", sys, "smmu3.0x9050000");
	expect_missing("has no driver here; it must be bound to vfio-pci",
		       "sudo sh -c 'modprobe vfio-pci; cd /sys/bus/pci; echo vfio-pci "
		       ">devices/0000:01:00.0/driver_override; echo 0000:01:00.0 >drivers_probe'");
}

static void the_hosts_driver(void **state)
{
	(void)state;
	add_function("0000:01:00.0", "0x010802\n", "3", "nvme");
	expect_missing("used by this host's driver nvme",
		       "sudo sh -c 'modprobe vfio-pci; cd /sys/bus/pci; echo vfio-pci "
		       ">devices/0000:01:00.0/driver_override; echo 0000:01:00.0 "
		       ">devices/0000:01:00.0/driver/unbind; echo 0000:01:00.0 >drivers_probe'");
}

static void others_in_the_group(void **state)
{
	(void)state;
	add_function("0000:00:1c.0", "0x060400\n", "3", "pcieport");
	add_function("0000:01:00.0", "0x010802\n", "3", "vfio-pci");
	add_function("0000:01:00.1", "0x040300\n", "3", NULL);
	add_function("0000:01:00.2", "0x0c0330\n", "3", "xhci_hcd");
	add_function("0000:01:00.3", "0x0c0330\n", "3", "vfio-pci");
	add_function("0000:02:00.0", "0x0c0330\n", "4", "xhci_hcd");
	expect_missing("shares IOMMU group 3 with what this host's drivers use: 0000:01:00.2 "
		       "(xhci_hcd); bind",
		       "sudo sh -c 'modprobe vfio-pci; cd /sys/bus/pci; echo vfio-pci "
		       ">devices/0000:01:00.2/driver_override; echo 0000:01:00.2 "
		       ">devices/0000:01:00.2/driver/unbind; echo 0000:01:00.2 >drivers_probe'");
}

static void no_device_nodes(void **state)
{
	char text[256];

	(void)state;
	add_function("0000:01:00.0", "0x010802\n", "3", "mlx5_vfio_pci");
	snprintf(text, sizeof(text), "%s/vfio, for 0000:01:00.0: No such file", dev);
	expect_missing(text, "sudo modprobe vfio_iommu_type1");
	add_node("vfio");
	snprintf(text, sizeof(text), "%s/3, for 0000:01:00.0: No such file", dev);
	expect_missing(text, "sudo modprobe vfio_iommu_type1");
}

static void a_node_that_is_somebody_elses(void **state)
{
	char path[128], text[256], command[256];

	(void)state;
	add_function("0000:01:00.0", "0x010802\n", "3", "vfio-pci");
	add_node("vfio");
	add_node("3");
	snprintf(path, sizeof(path), "%s/3", dev);
	assert_int_equal(chmod(path, 0), 0);
	snprintf(text, sizeof(text), "%s, for 0000:01:00.0: Permission denied", path);
	snprintf(command, sizeof(command), "sudo setfacl -m \"u:$USER:rw\" %s", path);
	be_somebody(true);
	examine(1 << 20);
	be_somebody(false);
	expect_found_missing(text, command);
}

static void all_is_well(void **state)
{
	(void)state;
	add_function("0000:01:00.0", "0x010802\n", "3", "vfio-pci");
	add_node("vfio");
	add_node("3");
	examine(1 << 12);
	assert_int_equal(found.n, 2);
	assert_int_equal(found.list[0].state, FINDING_OK);
	assert_string_equal(found.list[0].text, "0000:01:00.0 is free for guests, IOMMU group 3");
	assert_int_equal(found.list[1].state, FINDING_OK);
	assert_non_null(strstr(found.list[1].text, "locks all RAM of the guest, 4K"));
	findings_free(&found);
}

static void more_memory_than_may_be_locked(void **state)
{
	struct rlimit old;

	(void)state;
	add_function("0000:01:00.0", "0x010802\n", "3", "vfio-pci");
	add_node("vfio");
	add_node("3");
	getrlimit(RLIMIT_MEMLOCK, &old);
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){ 64 << 10, old.rlim_max }), 0);
	be_somebody(true);
	examine(64 << 20);
	be_somebody(false);
	setrlimit(RLIMIT_MEMLOCK, &old);
	assert_int_equal(found.n, 2);
	assert_int_equal(found.list[1].state, FINDING_MISSING);
	assert_string_equal(found.list[1].text, "passthrough locks all RAM of the guest, 64M; the "
						"limit of locked memory: 64K");
	assert_string_equal(found.list[1].command, "sudo prlimit --pid $$ --memlock=unlimited");
	findings_free(&found);
}

/* ---- The plan -------------------------------------------------------------------------------- */

static void expect_window(const char *text, uint64_t start, uint64_t size)
{
	struct diags *diags = diags_new();
	struct config *config =
		config_load_text("test.yaml", text, strlen(text), machine_registry(), NULL, diags);
	const struct vm_config *vm = config_vm(config);
	struct plan *plan =
		plan_make(vm, machine_registry(), arch_find(vm->arch), NULL, NULL, diags);
	const struct plan_claim *window = plan_device_claim(&plan->devices[0], SPACE_BAR);

	if (diags_errors(diags))
		diags_print(diags, stderr, DIAG_TEXT, false);
	assert_int_equal(diags_errors(diags), 0);
	assert_int_equal(window->start, start);
	assert_int_equal(window->size, size);
	plan_free(plan);
	config_free(config);
	diags_free(diags);
}

static void the_window_is_as_large_as_its_option_says(void **state)
{
	(void)state;
	expect_window(VM(""), 0xd0000000, 32 << 20);
	expect_window(VM(", window: 256M"), 0xd0000000, 256 << 20);
	expect_window(VM(", window: 1G"), 512ULL << 30, 1ULL << 30);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_function_that_is_not_there),
		TEST(a_bridge),
		TEST(no_iommu),
		TEST(no_driver),
		TEST(no_driver_and_so_no_group_yet),
		TEST(the_hosts_driver),
		TEST(others_in_the_group),
		TEST(no_device_nodes),
		TEST(a_node_that_is_somebody_elses),
		TEST(all_is_well),
		TEST(more_memory_than_may_be_locked),
		cmocka_unit_test(the_window_is_as_large_as_its_option_says),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
