/* test_memory.c: no guest address reaches host memory but through a slot that holds it. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include <vibevmm/bytes.h>
#include <vibevmm/memory.h>

#define TOP_SLOT (UINT64_MAX - 0xfff) /* the last page of 64 bits */

/* RAM 0x1000-0x2fff, ROM 0x3000-0x3fff right behind, RAM 1G + 4 MiB, the top page. */
static int setup(void **state)
{
	struct memory *m = memory_new();

	*state = m;
	return !m || memory_add(m, 0x40000000, 0x400000, 0, NULL) ||
	       memory_add(m, 0x1000, 0x2000, 0, NULL) ||
	       memory_add(m, 0x3000, 0x1000, MEMORY_READONLY, NULL) ||
	       memory_add(m, TOP_SLOT, 0x1000, 0, NULL);
}

static int teardown(void **state)
{
	memory_free(*state);
	return 0;
}

static void slots_are_sorted_zeroed_and_congruent_modulo_2M(void **state)
{
	const struct memory_slot *slots;
	size_t n = memory_slots(*state, &slots);

	assert_int_equal(n, 4);
	for (size_t i = 0; i < n; i++) {
		assert_true(i == 0 || slots[i - 1].gpa < slots[i].gpa);
		assert_int_equal((uintptr_t)slots[i].host % 0x200000, slots[i].gpa % 0x200000);
		assert_int_equal(slots[i].host[slots[i].size - 1], 0);
	}
}

static void pointers_are_given_only_inside_one_slot(void **state)
{
	struct memory *m = *state;

	assert_non_null(memory_ptr(m, 0x1000, 0x2000, true));
	assert_ptr_equal((uint8_t *)memory_ptr(m, 0x1000, 1, false) + 0x1fff,
			 memory_ptr(m, 0x2fff, 1, false));
	assert_null(memory_ptr(m, 0x1000, 0x2001, false)); /* into the ROM */
	assert_null(memory_ptr(m, 0xfff, 2, false));
	assert_null(memory_ptr(m, 0x1000, 0, false));
	assert_null(memory_ptr(m, 0x1000, UINT64_MAX, false));
	assert_null(memory_ptr(m, 0x4000, 1, false));
	assert_non_null(memory_ptr(m, UINT64_MAX, 1, true));
	assert_null(memory_ptr(m, UINT64_MAX, 2, true)); /* would wrap */
}

static void rom_is_read_and_loaded_but_not_written(void **state)
{
	struct memory *m = *state;
	uint8_t byte = 7;

	assert_null(memory_ptr(m, 0x3000, 1, true));
	assert_non_null(memory_ptr(m, 0x3000, 1, false));
	assert_int_equal(memory_write(m, 0x3000, &byte, 1), -EFAULT);
	assert_int_equal(memory_load(m, 0x3000, &byte, 1), 0);
	byte = 0;
	assert_int_equal(memory_read(m, 0x3000, &byte, 1), 0);
	assert_int_equal(byte, 7);
}

static void copies_cross_adjacent_slots_or_do_nothing(void **state)
{
	struct memory *m = *state;
	uint8_t out[16] = { 0 }, in[16];

	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)(i + 1);
	assert_int_equal(memory_load(m, 0x2ff8, in, 16), 0);
	assert_int_equal(memory_read(m, 0x2ff8, out, 16), 0);
	assert_memory_equal(in, out, 16);

	memset(out, 0, sizeof(out));
	assert_int_equal(memory_write(m, 0x2ff0, out, 17), -EFAULT); /* reaches the ROM */
	assert_int_equal(memory_read(m, 0x2ff8, out, 8), 0);
	assert_memory_equal(in, out, 8);
	assert_int_equal(memory_read(m, 0x3ff8, out, 9), -EFAULT);
	assert_int_equal(memory_read(m, UINT64_MAX - 3, out, 5), -EFAULT);
	assert_int_equal(memory_read(m, UINT64_MAX - 3, out, 4), 0);
}

static void more_than_the_host_can_address_is_refused_in_words(void **state)
{
	struct err err = { 0 };

	assert_true(memory_add(*state, 0x8000000000, 1ULL << 62, 0, &err) < 0);
	assert_int_equal(err.status, STATUS_UNAVAILABLE);
	assert_non_null(strstr(err.text, "guest memory"));
}

static void shared_memory_is_a_file_that_cannot_shrink(void **state)
{
	struct memory *m = memory_new();
	const struct memory_slot *slots;
	uint8_t *other;
	int fd;

	(void)state;
	assert_non_null(m);
	assert_int_equal(memory_add(m, 0x100000, 0x400000, MEMORY_SHARED, NULL), 0);
	assert_int_equal(memory_add(m, 0x1000, 0x1000, MEMORY_READONLY, NULL), 0);
	assert_int_equal(memory_slots(m, &slots), 2);
	assert_int_equal(slots[0].fd, -1);
	fd = slots[1].fd;
	assert_true(fd >= 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC));
	assert_int_equal((uintptr_t)slots[1].host % 0x200000, 0x100000);

	other = mmap(NULL, 0x400000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(other, MAP_FAILED);
	assert_int_equal(memory_write(m, 0x4ffffc, "last", 4), 0);
	assert_memory_equal(other + 0x3ffffc, "last", 4);
	other[0] = 42;
	assert_int_equal(*(uint8_t *)memory_ptr(m, 0x100000, 1, false), 42);
	assert_true(ftruncate(fd, 0x1000) < 0);
	assert_true(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) < 0);

	memory_free(m);
	assert_true(fcntl(fd, F_GETFD) < 0);
	assert_int_equal(other[0], 42);
	munmap(other, 0x400000);
}

static void little_endian_numbers_survive_a_round_trip(void **state)
{
	uint8_t buf[9] = { 0 };

	(void)state;
	for (size_t n = 1; n <= 8; n++) {
		bytes_put(buf + 1, n, 0x8877665544332211);
		assert_int_equal(bytes_get(buf + 1, n), 0x8877665544332211 & bytes_ones(n));
	}
	assert_int_equal(buf[1], 0x11);
}

static void ranges_and_alignment_do_not_wrap_unseen(void **state)
{
	uint64_t out = 5;

	(void)state;
	assert_true(bytes_align_wraps(UINT64_MAX, 0x1000, &out));
	assert_int_equal(out, 5);
	assert_false(bytes_align_wraps(0x1001, 0x1000, &out));
	assert_int_equal(out, 0x2000);
	assert_true(bytes_inside(UINT64_MAX, 1, UINT64_MAX - 1, 2));
	assert_false(bytes_inside(UINT64_MAX, 2, 0, UINT64_MAX));
	assert_false(bytes_inside(4, 5, 4, 4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(slots_are_sorted_zeroed_and_congruent_modulo_2M,
						setup, teardown),
		cmocka_unit_test_setup_teardown(pointers_are_given_only_inside_one_slot, setup,
						teardown),
		cmocka_unit_test_setup_teardown(rom_is_read_and_loaded_but_not_written, setup,
						teardown),
		cmocka_unit_test_setup_teardown(copies_cross_adjacent_slots_or_do_nothing, setup,
						teardown),
		cmocka_unit_test_setup_teardown(more_than_the_host_can_address_is_refused_in_words,
						setup, teardown),
		cmocka_unit_test(shared_memory_is_a_file_that_cannot_shrink),
		cmocka_unit_test(little_endian_numbers_survive_a_round_trip),
		cmocka_unit_test(ranges_and_alignment_do_not_wrap_unseen),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
