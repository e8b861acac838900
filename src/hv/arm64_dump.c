/* arm64_dump.c: an arm64 vCPU's registers as text. */
#include <vibevmm/bytes.h>

#include "arm64_dump.h"
#include "arm64_esr.h"
#include "arm64_sysreg.h"

static void put_general(struct text *t, const struct arm64_registers *r)
{
	for (unsigned i = 0; i < 31; i++) {
		char name[8];

		snprintf(name, sizeof(name), "x%u", i);
		text_put(t, "%-5s %016llx%s", name, (unsigned long long)r->x(r->vcpu, i),
			 i % 3 == 2 || i == 30 ? "\n" : "  ");
	}
}

static void put_system(struct text *t, const struct arm64_registers *r)
{
	static const struct {
		const char *name;
		unsigned number;
	} rows[] = {
		{ "sp_el0", ARM64_SP_EL0 },	  { "sp_el1", ARM64_SP_EL1 },
		{ "vbar_el1", ARM64_VBAR_EL1 },	  { "sctlr_el1", ARM64_SCTLR_EL1 },
		{ "tcr_el1", ARM64_TCR_EL1 },	  { "mair_el1", ARM64_MAIR_EL1 },
		{ "ttbr0_el1", ARM64_TTBR0_EL1 }, { "ttbr1_el1", ARM64_TTBR1_EL1 },
		{ "cpacr_el1", ARM64_CPACR_EL1 }, { "elr_el1", ARM64_ELR_EL1 },
		{ "far_el1", ARM64_FAR_EL1 },	  { "mpidr_el1", ARM64_MPIDR_EL1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		text_put(t, "%-9s %016llx%s", rows[i].name,
			 (unsigned long long)r->sysreg(r->vcpu, rows[i].number),
			 i % 3 == 2 ? "\n" : "  ");
}

/* The last exception that the guest took to EL1, if any. */
static void put_exception(struct text *t, const struct arm64_registers *r)
{
	uint64_t esr = r->sysreg(r->vcpu, ARM64_ESR_EL1);
	uint64_t status = r->sysreg(r->vcpu, ARM64_SPSR_EL1);

	text_put(t, "esr_el1   %016llx  ", (unsigned long long)esr);
	arm64_esr_put(t, esr);
	text_put(t, "\nspsr_el1  %016llx  ", (unsigned long long)status);
	arm64_pstate_put(t, status);
	text_put(t, "\n");
}

/* Those that aren't zero. */
static void put_vectors(struct text *t, const struct arm64_registers *r)
{
	for (unsigned i = 0; i < 32; i++) {
		uint64_t half[2] = { 0 };

		r->v(r->vcpu, i, half);
		if (half[0] || half[1])
			text_put(t, "v%-4u %016llx%016llx\n", i, (unsigned long long)half[1],
				 (unsigned long long)half[0]);
	}
}

void arm64_dump_put(struct text *t, const struct arm64_registers *r)
{
	text_put(t, "pc    %016llx  pstate %llx  ", (unsigned long long)r->pc,
		 (unsigned long long)r->pstate);
	arm64_pstate_put(t, r->pstate);
	text_put(t, "\n");
	put_general(t, r);
	put_system(t, r);
	put_exception(t, r);
	put_vectors(t, r);
}
