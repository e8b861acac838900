/* test_esr.c: syndromes of arm64 exceptions in words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <vibevmm/bytes.h>

#include "../../src/hv/arm64_esr.h"
#include "../../src/hv/arm64_sysreg.h"

#define EC(class) ((uint64_t)(class) << 26)

static void check(uint64_t esr, const char *words)
{
	char buf[200] = "";
	struct text text = { buf, sizeof(buf), 0 };

	arm64_esr_put(&text, esr);
	assert_string_equal(buf, words);
}

static void data_aborts_tell_access_register_and_fault(void **state)
{
	(void)state;
	/* ISV, 4 bytes, register 3, write, translation fault at level 1 */
	check(EC(0x25) | 1 << 24 | 2 << 22 | 3 << 16 | 1 << 6 | 0x05,
	      "data abort, write of 4 bytes from x3, translation fault at level 1");
	check(EC(0x24) | 1 << 24 | 31 << 16 | 0x0f, "data abort from a lower level, read of 1 byte "
						    "into xzr, permission fault at level 3");
	check(EC(0x25) | 0x21, "data abort, read, alignment fault");
	check(EC(0x25) | 1 << 8 | 1 << 6 | 0x10, "data abort, cache maintenance, external abort");
	check(EC(0x25) | 1 << 7 | 0x06,
	      "data abort, read, translation fault at level 2 of stage 2 on a stage 1 walk");
}

static void other_classes_tell_what_they_know(void **state)
{
	(void)state;
	check(0, "unknown reason (an undefined instruction, most likely)");
	check(EC(0x15) | 0x42, "SVC #0x42");
	check(EC(0x16), "HVC #0");
	check(EC(0x17) | 0xffff, "SMC #0xffff");
	check(EC(0x3c) | 0x123, "BRK #0x123");
	check(EC(0x21) | 0x04, "instruction abort, translation fault at level 0");
	check(EC(0x35) | 1 << 6, "watchpoint, write");
	check(EC(0x2f), "SError");
	/* MRS x5, SCTLR_EL1 */
	check(EC(0x18) | 3 << 20 | 0 << 17 | 0 << 14 | 1 << 10 | 5 << 5 | 0 << 1 | 1,
	      "system register or instruction, read of S3_0_C1_C0_0 with x5");
	check(EC(0x3f), "exception class 0x3f");
	check(EC(0x21) | 0x3f, "instruction abort, fault status 0x3f");
}

/* As a 64-bit value may come from anywhere; and a small buffer is filled, not overrun. */
static void every_class_and_fault_has_words_and_long_ones_are_cut(void **state)
{
	(void)state;
	for (uint64_t class = 0; class < 64; class ++) {
		for (uint64_t iss = 0; iss < 64; iss++) {
			char buf[24] = "";
			struct text text = { buf, sizeof(buf), 0 };

			arm64_esr_put(&text, ~0ULL << 32 | class << 26 | iss);
			assert_in_range(strlen(buf), 3, sizeof(buf) - 1);
		}
	}
}

/* As gas assembles them. */
static void instructions_without_a_syndrome_are_told_apart(void **state)
{
	static const struct {
		uint32_t instruction;
		const char *words;
	} cases[] = {
		{ 0xa9000400, "a pair of registers" },		     /* stp x0, x1, [x0] */
		{ 0x29400400, "a pair of registers" },		     /* ldp w0, w1, [x0] */
		{ 0xa8c10400, "a pair of registers" },		     /* ldp x0, x1, [x0], #16 */
		{ 0x3d800120, "a SIMD or floating-point register" }, /* str q0, [x9] */
		{ 0xad000120, "a SIMD or floating-point register" }, /* stp q0, q0, [x9] */
		{ 0xf8008520, "an address that is written back" },   /* str x0, [x9], #8 */
		{ 0xf8408d20, "an address that is written back" },   /* ldr x0, [x9, #8]! */
		{ 0xc85f7d20, "an exclusive access" },		     /* ldxr x0, [x9] */
		{ 0xf8200120, "an atomic operation" },		     /* ldadd x0, x0, [x9] */
		{ 0xd50b7e29, "cache maintenance" },		     /* dc civac, x9 */
		{ 0xf9000120, NULL },				     /* str x0, [x9] */
		{ 0x38400120, NULL },				     /* ldurb w0, [x9] */
		{ 0xf8616920, NULL },				     /* ldr x0, [x9, x1] */
		{ 0xd503207f, NULL },				     /* wfi */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *words = arm64_esr_no_syndrome(cases[i].instruction);

		if (!words || !cases[i].words) {
			if (words != cases[i].words)
				fail_msg("%08x: %s", cases[i].instruction, words ? words : "none");
		} else {
			assert_string_equal(words, cases[i].words);
		}
	}
}

static void pstate_tells_level_masks_and_flags(void **state)
{
	static const struct {
		uint64_t pstate;
		const char *words;
	} cases[] = {
		{ ARM64_PSTATE_EL1H | ARM64_PSTATE_DAIF, "EL1h DAIF nzcv" },
		{ 0x60000000, "EL0t daif nZCv" },
		{ 0x80000089, "EL2h daIf Nzcv" },
		{ 0x1d0, "32-bit dAIF nzcv" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char buf[40] = "";
		struct text text = { buf, sizeof(buf), 0 };

		arm64_pstate_put(&text, cases[i].pstate);
		assert_string_equal(buf, cases[i].words);
	}
}

/* Against the operands in the A64 encoding of `mrs x0, REG`: bits 19:5, op0 less 2. */
static void system_registers_have_the_numbers_of_their_instruction(void **state)
{
	static const struct {
		uint32_t mrs, number;
	} cases[] = {
		{ 0xd53800a0, ARM64_MPIDR_EL1 }, { 0xd5381000, ARM64_SCTLR_EL1 },
		{ 0xd5381040, ARM64_CPACR_EL1 }, { 0xd5382000, ARM64_TTBR0_EL1 },
		{ 0xd5382020, ARM64_TTBR1_EL1 }, { 0xd5382040, ARM64_TCR_EL1 },
		{ 0xd5385200, ARM64_ESR_EL1 },	 { 0xd5386000, ARM64_FAR_EL1 },
		{ 0xd538a200, ARM64_MAIR_EL1 },	 { 0xd538c000, ARM64_VBAR_EL1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal((cases[i].mrs >> 5 & 0x7fff) | 0x8000, cases[i].number);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(data_aborts_tell_access_register_and_fault),
		cmocka_unit_test(other_classes_tell_what_they_know),
		cmocka_unit_test(every_class_and_fault_has_words_and_long_ones_are_cut),
		cmocka_unit_test(instructions_without_a_syndrome_are_told_apart),
		cmocka_unit_test(pstate_tells_level_masks_and_flags),
		cmocka_unit_test(system_registers_have_the_numbers_of_their_instruction),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
