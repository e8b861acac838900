/* rig.h: a machine of 64 KiB for guests of a dozen bytes, on whichever backend. How a guest is
 * assembled and entered is in rig_ARCH.h.
 *
 *   0x00000  RAM: code at RIG_CODE, RIG_DATA for the guest
 *   0x10000  nothing
 *   0x20000  ROM, 4 KiB, each byte its offset's low half
 *  0x100000  more RAM, for tables
 *
 * Every test runs under a time limit: an endless one ends the program, which counts as failed.
 */
#ifndef VIBEVMM_TESTS_RIG_H
#define VIBEVMM_TESTS_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include <vibevmm/backend.h>
#include <vibevmm/bytes.h>
#include <vibevmm/memory.h>

#define RIG_CODE      0x1000U
#define RIG_DATA      0xb000U
#define RIG_RAM_SIZE  0x10000U
#define RIG_ROM	      0x20000U
#define RIG_ROM_SIZE  0x4000U
#define RIG_MORE      0x100000U
#define RIG_MORE_SIZE 0x80000U

struct rig {
	const struct hv_backend *hv;
	struct hv_vm *vm;
	struct hv_vcpu *vcpu;
	struct hv_exit exit;
	uint8_t *ram, *rom, *more;
};

static inline int rig_eventfd(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	assert_true(fd >= 0);
	return fd;
}

/* How often it was signalled since the last call. */
static inline uint64_t rig_count(int fd)
{
	uint64_t count = 0;

	return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

/* At a multiple of 16 KiB, which is the largest size of a page. What is over stays unused. */
static inline void *rig_alloc(size_t size)
{
	const size_t page = 0x4000;
	uint8_t *p =
		mmap(NULL, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	return p + (page - (uintptr_t)p % page) % page;
}

/* Skips the test, with the reason, unless the backend works here and has all of `caps`. */
static inline void rig_need(const struct hv_backend *hv, unsigned caps)
{
	struct hv_caps found;
	struct err err;

	if (hv->probe(&found, &err)) {
		print_message("# skipped: %s\n", err.text);
		skip();
	}
	for (unsigned bit = 1; bit && bit <= caps; bit <<= 1) {
		if ((caps & bit) && !(found.caps & bit)) {
			print_message("# skipped: no %s here\n", hv_cap_name((enum hv_cap)bit));
			skip();
		}
	}
}

static inline void rig_open_config(struct rig *rig, const struct hv_backend *hv,
				   const struct hv_vm_config *config)
{
	struct err err = { 0 };

	alarm(60);
	*rig = (struct rig){ .hv = hv };
	rig->ram = rig_alloc(RIG_RAM_SIZE);
	rig->rom = rig_alloc(RIG_ROM_SIZE);
	rig->more = rig_alloc(RIG_MORE_SIZE);
	for (unsigned i = 0; i < RIG_ROM_SIZE; i++)
		rig->rom[i] = (uint8_t)i;
	if (hv->vm_create(config, &rig->vm, &err) ||
	    hv->mem_map(rig->vm, 0, RIG_RAM_SIZE, rig->ram, 0, &err) ||
	    hv->mem_map(rig->vm, RIG_MORE, RIG_MORE_SIZE, rig->more, 0, &err) ||
	    hv->mem_map(rig->vm, RIG_ROM, RIG_ROM_SIZE, rig->rom, MEMORY_READONLY, &err) ||
	    hv->platform_create(rig->vm, &err) || hv->vcpu_create(rig->vm, 0, &rig->vcpu, &err))
		fail_msg("%s", err.text);
}

static inline void rig_close(struct rig *rig)
{
	rig->hv->vcpu_destroy(rig->vcpu);
	rig->hv->vm_destroy(rig->vm);
	munmap(rig->ram, RIG_RAM_SIZE);
	munmap(rig->rom, RIG_ROM_SIZE);
	munmap(rig->more, RIG_MORE_SIZE);
	alarm(0);
}

static inline void rig_run(struct rig *rig)
{
	do
		rig->hv->vcpu_run(rig->vcpu, &rig->exit);
	while (rig->exit.kind == HV_EXIT_AGAIN);
}

/* Runs to the next exit and asserts that it is of this kind. */
static inline void rig_expect(struct rig *rig, enum hv_exit_kind kind)
{
	rig_run(rig);
	if (rig->exit.kind == kind)
		return;
	if (rig->exit.kind == HV_EXIT_FAULT) {
		char dump[4096];

		rig->hv->vcpu_dump(rig->vcpu, dump, sizeof(dump));
		print_message("# %s\n%s", rig->exit.text, dump);
	}
	fail_msg("exit kind %d at pc %#llx, not %d", rig->exit.kind,
		 (unsigned long long)rig->hv->vcpu_pc(rig->vcpu), kind);
}

/* The next exit is one access to addr (a port or a window) of that size; for a write, with that
 * value. For a read, value is what the guest gets. */
static inline void rig_expect_io(struct rig *rig, enum hv_exit_kind kind, bool write, uint64_t addr,
				 unsigned size, uint64_t value)
{
	rig_expect(rig, kind);
	assert_int_equal(rig->exit.io.write, write);
	assert_int_equal(rig->exit.io.addr, addr);
	assert_int_equal(rig->exit.io.size, size);
	assert_int_equal(rig->exit.io.count, 1);
	if (write)
		assert_int_equal(bytes_get(rig->exit.io.data, size), value);
	else
		bytes_put(rig->exit.io.data, size, value);
}

#if defined(__aarch64__)
#include "conformance/rig_arm64.h"
#else
#include "conformance/rig_x86_64.h"
#endif

/* Runs `tests` (of names and functions) on every backend of this build for this host's
 * architecture. */
struct rig_test {
	const char *name;
	CMUnitTestFunction run;
};
#define RIG_TEST(f)                                                                                \
	{                                                                                          \
#f, f                                                                              \
	}

static inline int rig_run_tests(const struct rig_test *tests, size_t n)
{
	const struct hv_backend *const *backends;
	size_t n_backends;
	int failed = 0;

	cmocka_set_message_output(CM_OUTPUT_TAP);
	backends = hv_backends(&n_backends);
	for (size_t b = 0; b < n_backends; b++) {
		struct CMUnitTest group[64] = { 0 };

		assert_in_range(n, 1, ARRAY_SIZE(group));
		if (backends[b]->arch != hv_host_arch() || !backends[b]->probe)
			continue;
		for (size_t i = 0; i < n; i++) {
			group[i].name = tests[i].name;
			group[i].test_func = tests[i].run;
			group[i].initial_state = (void *)backends[b];
		}
		failed += _cmocka_run_group_tests(backends[b]->name, group, n, NULL, NULL);
	}
	return failed;
}

#endif
