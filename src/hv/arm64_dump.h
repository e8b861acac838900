/* arm64_dump.h: an arm64 vCPU's registers as text, for reports of crashes. */
#ifndef VIBEVMM_HV_ARM64_DUMP_H
#define VIBEVMM_HV_ARM64_DUMP_H

#include <stdint.h>

#include "text.h"

/* Where the registers come from. */
struct arm64_registers {
	const void *vcpu;
	uint64_t pc, pstate;
	uint64_t (*x)(const void *vcpu, unsigned n);		    /* 0 to 30 */
	uint64_t (*sysreg)(const void *vcpu, unsigned number);	    /* of arm64_sysreg.h */
	void (*v)(const void *vcpu, unsigned n, uint64_t value[2]); /* low half first; 0 to 31 */
};

void arm64_dump_put(struct text *text, const struct arm64_registers *registers);

#endif
