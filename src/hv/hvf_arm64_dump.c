/* hvf_arm64_dump.c: a vCPU's registers as text, for reports of crashes. */
#include "arm64_dump.h"
#include "hvf.h"

static uint64_t x(const void *vcpu, unsigned n)
{
	return hvf_arm64_get_operand(vcpu, n);
}

static uint64_t sysreg(const void *vcpu, unsigned number)
{
	return hvf_arm64_get_sysreg(vcpu, number);
}

static void v(const void *arg, unsigned n, uint64_t value[2])
{
	const struct hv_vcpu *vcpu = arg;

	(void)hv_vcpu_get_simd_fp_reg(vcpu->id, n, value);
}

void hvf_arm64_dump(struct hv_vcpu *vcpu, char *buf, size_t len)
{
	struct text text = { buf, len, 0 };

	if (len)
		arm64_dump_put(&text, &(struct arm64_registers){
					      .vcpu = vcpu,
					      .pc = hvf_arm64_get(vcpu, HV_REG_PC),
					      .pstate = hvf_arm64_get(vcpu, HV_REG_CPSR),
					      .x = x,
					      .sysreg = sysreg,
					      .v = v });
}
