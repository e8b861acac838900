/* arm64_esr.h: what an arm64 processor says about an exception, in words. Pure. */
#ifndef VIBEVMM_HV_ARM64_ESR_H
#define VIBEVMM_HV_ARM64_ESR_H

#include <stdint.h>

#include "text.h"

/* Appends the meaning of a value of ESR_EL1 or ESR_EL2 ("data abort, write of 4 bytes from x3,
 * translation fault at level 1"). Every value has one. */
void arm64_esr_put(struct text *text, uint64_t esr);

/* Why a data abort has no syndrome, told from the instruction: "a pair of registers". NULL: it
 * isn't one of those that never have one. */
const char *arm64_esr_no_syndrome(uint32_t instruction);

/* Says that no device can take such an access. instruction: that at pc, or 0 if it can't be read;
 * iss: of the data abort. */
void arm64_esr_put_no_syndrome(struct text *text, uint64_t gpa, uint64_t pc, uint32_t instruction,
			       uint64_t iss);

/* PSTATE or SPSR: "EL1h DAIF NZCV", a small letter or a dash for what is not set. */
void arm64_pstate_put(struct text *text, uint64_t pstate);

#endif
