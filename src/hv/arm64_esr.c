/* arm64_esr.c: exception syndromes in words.
 *
 * Arm ARM (DDI 0487), D17.2.37 "ESR_EL1" and D17.2.38 "ESR_EL2": EC in bits 31:26, what follows
 * from it in the ISS, bits 24:0. Instructions: C4.1.94 "Loads and Stores".
 */
#include <stdbool.h>
#include <stddef.h>

#include <vibevmm/bytes.h>

#include "arm64_esr.h"

enum {
	EC_SVC64 = 0x15,
	EC_HVC64 = 0x16,
	EC_SMC64 = 0x17,
	EC_MSR = 0x18,
	EC_INSTRUCTION_LOWER = 0x20,
	EC_INSTRUCTION = 0x21,
	EC_DATA_LOWER = 0x24,
	EC_DATA = 0x25,
	EC_WATCHPOINT_LOWER = 0x34,
	EC_WATCHPOINT = 0x35,
	EC_BRK = 0x3c,
};

static const char *const classes[64] = {
	[0x00] = "unknown reason (an undefined instruction, most likely)",
	[0x01] = "WFI or WFE",
	[0x03] = "MCR or MRC to CP15",
	[0x04] = "MCRR or MRRC to CP15",
	[0x05] = "MCR or MRC to CP14",
	[0x06] = "LDC or STC",
	[0x07] = "floating point or SIMD, which is switched off",
	[0x08] = "VMRS",
	[0x09] = "pointer authentication, which is switched off",
	[0x0a] = "64-byte load or store",
	[0x0c] = "MRRC to CP14",
	[0x0d] = "branch target",
	[0x0e] = "illegal execution state",
	[0x11] = "SVC of 32-bit code",
	[0x12] = "HVC of 32-bit code",
	[0x13] = "SMC of 32-bit code",
	[EC_SVC64] = "SVC",
	[EC_HVC64] = "HVC",
	[EC_SMC64] = "SMC",
	[EC_MSR] = "system register or instruction",
	[0x19] = "SVE, which is switched off",
	[0x1a] = "ERET",
	[0x1c] = "pointer authentication failure",
	[0x1d] = "SME, which is switched off",
	[0x1e] = "granule protection check",
	[EC_INSTRUCTION_LOWER] = "instruction abort from a lower level",
	[EC_INSTRUCTION] = "instruction abort",
	[0x22] = "misaligned PC",
	[EC_DATA_LOWER] = "data abort from a lower level",
	[EC_DATA] = "data abort",
	[0x26] = "misaligned SP",
	[0x27] = "memory copy or set",
	[0x28] = "floating-point exception of 32-bit code",
	[0x2c] = "floating-point exception",
	[0x2d] = "guarded control stack",
	[0x2f] = "SError",
	[0x30] = "breakpoint from a lower level",
	[0x31] = "breakpoint",
	[0x32] = "software step from a lower level",
	[0x33] = "software step",
	[EC_WATCHPOINT_LOWER] = "watchpoint from a lower level",
	[EC_WATCHPOINT] = "watchpoint",
	[0x38] = "BKPT of 32-bit code",
	[0x3a] = "vector catch of 32-bit code",
	[EC_BRK] = "BRK",
};

static unsigned bits(uint64_t value, unsigned low, unsigned n)
{
	return (unsigned)(value >> low & ((1U << n) - 1));
}

/* The fault status code, bits 5:0 of an abort's ISS. */
static void put_fault(struct text *text, unsigned code)
{
	static const struct {
		unsigned first, last; /* the code less the first is the level */
		const char *words;
	} levels[] = {
		{ 0x00, 0x03, "address size fault" },
		{ 0x04, 0x07, "translation fault" },
		{ 0x08, 0x0b, "access flag fault" },
		{ 0x0c, 0x0f, "permission fault" },
		{ 0x14, 0x17, "external abort on a translation table walk" },
		{ 0x1c, 0x1f, "parity error on a translation table walk" },
		{ 0x24, 0x27, "granule protection fault on a translation table walk" },
	};
	static const struct {
		unsigned code;
		const char *words;
	} singles[] = {
		{ 0x10, "external abort" },
		{ 0x11, "tag check fault" },
		{ 0x13, "external abort on a translation table walk at level -1" },
		{ 0x18, "parity error" },
		{ 0x1b, "parity error on a translation table walk at level -1" },
		{ 0x21, "alignment fault" },
		{ 0x28, "granule protection fault" },
		{ 0x29, "address size fault at level -1" },
		{ 0x2b, "translation fault at level -1" },
		{ 0x30, "TLB conflict" },
		{ 0x31, "unsupported atomic hardware update" },
		{ 0x34, "lockdown" },
		{ 0x35, "unsupported exclusive or atomic access" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
		if (code >= levels[i].first && code <= levels[i].last) {
			text_put(text, "%s at level %u", levels[i].words, code - levels[i].first);
			return;
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(singles); i++) {
		if (code == singles[i].code) {
			text_put(text, "%s", singles[i].words);
			return;
		}
	}
	text_put(text, "fault status %#x", code);
}

static void put_data_abort(struct text *text, uint64_t esr)
{
	bool write = bits(esr, 6, 1), valid = bits(esr, 24, 1);
	unsigned size = 1U << bits(esr, 22, 2), reg = bits(esr, 16, 5);

	if (bits(esr, 8, 1))
		text_put(text, ", cache maintenance");
	else
		text_put(text, ", %s", write ? "write" : "read");
	if (valid) {
		text_put(text, " of %u byte%s ", size, size == 1 ? "" : "s");
		text_put(text, write ? "from " : "into ");
		if (reg == 31)
			text_put(text, "xzr");
		else
			text_put(text, "x%u", reg);
	}
	text_put(text, ", ");
	put_fault(text, bits(esr, 0, 6));
	if (bits(esr, 7, 1))
		text_put(text, " of stage 2 on a stage 1 walk");
}

/* D17.2.37, "ISS encoding for an exception from MSR, MRS": the operands as assemblers take them. */
static void put_msr(struct text *text, uint64_t esr)
{
	text_put(text, ", %s of S%u_%u_C%u_C%u_%u with x%u", bits(esr, 0, 1) ? "read" : "write",
		 bits(esr, 20, 2), bits(esr, 14, 3), bits(esr, 10, 4), bits(esr, 1, 4),
		 bits(esr, 17, 3), bits(esr, 5, 5));
}

void arm64_esr_put(struct text *text, uint64_t esr)
{
	unsigned class = bits(esr, 26, 6);

	if (!classes[class]) {
		text_put(text, "exception class %#x", class);
		return;
	}
	text_put(text, "%s", classes[class]);
	switch (class) {
	case EC_SVC64:
	case EC_HVC64:
	case EC_SMC64:
	case EC_BRK:
		text_put(text, " #%#x", bits(esr, 0, 16));
		break;
	case EC_MSR:
		put_msr(text, esr);
		break;
	case EC_INSTRUCTION_LOWER:
	case EC_INSTRUCTION:
		text_put(text, ", ");
		put_fault(text, bits(esr, 0, 6));
		break;
	case EC_DATA_LOWER:
	case EC_DATA:
		put_data_abort(text, esr);
		break;
	case EC_WATCHPOINT_LOWER:
	case EC_WATCHPOINT:
		text_put(text, ", %s", bits(esr, 6, 1) ? "write" : "read");
		break;
	}
}

const char *arm64_esr_no_syndrome(uint32_t instruction)
{
	static const struct {
		uint32_t mask, value;
		const char *words;
	} kinds[] = {
		/* D17.2.37, ISV: single general registers without write-back alone have it. */
		{ 0x0e000000, 0x0c000000, "a SIMD or floating-point register" },
		{ 0x3a000000, 0x28000000, "a pair of registers" },
		{ 0x3f000000, 0x08000000, "an exclusive access" },
		{ 0x3b200c00, 0x38000400, "an address that is written back" },
		{ 0x3b200c00, 0x38000c00, "an address that is written back" },
		{ 0x3b200c00, 0x38200000, "an atomic operation" },
		{ 0xfff80000, 0xd5080000, "cache maintenance" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if ((instruction & kinds[i].mask) == kinds[i].value)
			return kinds[i].words;
	}
	return NULL;
}

void arm64_esr_put_no_syndrome(struct text *text, uint64_t gpa, uint64_t pc, uint32_t instruction,
			       uint64_t iss)
{
	const char *why = arm64_esr_no_syndrome(instruction);

	text_put(
		text,
		"the access to %#llx at pc %#llx is %s, which no device can take (syndrome %#llx): "
		"use plain loads and stores of one general register",
		(unsigned long long)gpa, (unsigned long long)pc, why ? why : "of a kind",
		(unsigned long long)iss);
}

void arm64_pstate_put(struct text *text, uint64_t pstate)
{
	static const char on[] = "DAIFNZCV", off[] = "daifnzcv";
	static const unsigned char bit[] = { 9, 8, 7, 6, 31, 30, 29, 28 };

	if (bits(pstate, 4, 1))
		text_put(text, "32-bit ");
	else
		text_put(text, "EL%u%c ", bits(pstate, 2, 2), bits(pstate, 0, 1) ? 'h' : 't');
	for (size_t i = 0; i < ARRAY_SIZE(bit); i++)
		text_put(text, "%s%c", i == 4 ? " " : "", bits(pstate, bit[i], 1) ? on[i] : off[i]);
}
