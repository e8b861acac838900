/* hvf_api.h: what we use of Apple's Hypervisor.framework on Apple silicon, declared by ourselves.
 *
 * Names, values and layouts are those of Apple's documentation ("Hypervisor", Apple Silicon); the
 * file takes none of Apple's headers, so that tests on Linux can compile the backend and put a
 * double of these functions behind it. The lowest macOS is 13; what came later is weak: NULL where
 * it isn't there.
 *
 * Rules that the declarations don't show. A process has one VM. Addresses and sizes of memory are
 * multiples of HVF_PAGE. A vCPU belongs to the thread that created it, which has but that one: all
 * calls that take a vCPU are for that thread, except hv_vcpus_exit. That one makes the vCPU's
 * present or next run end with HV_EXIT_REASON_CANCELED. The interrupt controller is created after
 * the VM and before any vCPU, and its lines can be set by every thread.
 */
#ifndef VIBEVMM_HV_HVF_API_H
#define VIBEVMM_HV_HVF_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HVF_SINCE_MACOS_15 __attribute__((weak))

#define HVF_PAGE 0x4000U

typedef int32_t hv_return_t;
#define HV_SUCCESS	       0
#define HV_ERROR	       ((hv_return_t)0xfae94001)
#define HV_BUSY		       ((hv_return_t)0xfae94002)
#define HV_BAD_ARGUMENT	       ((hv_return_t)0xfae94003)
#define HV_ILLEGAL_GUEST_STATE ((hv_return_t)0xfae94004)
#define HV_NO_RESOURCES	       ((hv_return_t)0xfae94005)
#define HV_NO_DEVICE	       ((hv_return_t)0xfae94006)
#define HV_DENIED	       ((hv_return_t)0xfae94007)
#define HV_EXISTS	       ((hv_return_t)0xfae94008)
#define HV_UNSUPPORTED	       ((hv_return_t)0xfae9400f)

/* ---- VM ------------------------------------------------------------------------------------ */

typedef struct hv_vm_config_s *hv_vm_config_t; /* released by os_release */

hv_vm_config_t hv_vm_config_create(void);
hv_return_t hv_vm_config_get_default_ipa_size(uint32_t *bits);
hv_return_t hv_vm_config_get_max_ipa_size(uint32_t *bits);
hv_return_t hv_vm_config_set_ipa_size(hv_vm_config_t config, uint32_t bits);

hv_return_t hv_vm_get_max_vcpu_count(uint32_t *count);
hv_return_t hv_vm_create(hv_vm_config_t config); /* NULL: the default */
hv_return_t hv_vm_destroy(void);

typedef uint64_t hv_memory_flags_t;
#define HV_MEMORY_READ	((hv_memory_flags_t)1 << 0)
#define HV_MEMORY_WRITE ((hv_memory_flags_t)1 << 1)
#define HV_MEMORY_EXEC	((hv_memory_flags_t)1 << 2)

hv_return_t hv_vm_map(void *host, uint64_t ipa, size_t size, hv_memory_flags_t flags);
hv_return_t hv_vm_unmap(uint64_t ipa, size_t size);

/* ---- vCPUs --------------------------------------------------------------------------------- */

typedef uint64_t hv_vcpu_t;
typedef struct hv_vcpu_config_s *hv_vcpu_config_t;

typedef uint32_t hv_exit_reason_t;
enum {
	HV_EXIT_REASON_CANCELED,
	HV_EXIT_REASON_EXCEPTION,
	HV_EXIT_REASON_VTIMER_ACTIVATED, /* and masked; not with an interrupt controller */
	HV_EXIT_REASON_UNKNOWN,
};

typedef struct {
	uint64_t syndrome;	   /* as in ESR_EL2 */
	uint64_t virtual_address;  /* FAR_EL2 */
	uint64_t physical_address; /* the guest-physical one of an abort */
} hv_vcpu_exit_exception_t;

typedef struct {
	hv_exit_reason_t reason;
	hv_vcpu_exit_exception_t exception;
} hv_vcpu_exit_t;

_Static_assert(sizeof(hv_vcpu_exit_t) == 32, "hv_vcpu_exit_t");
_Static_assert(offsetof(hv_vcpu_exit_t, exception.syndrome) == 8, "syndrome");
_Static_assert(offsetof(hv_vcpu_exit_t, exception.virtual_address) == 16, "virtual_address");
_Static_assert(offsetof(hv_vcpu_exit_t, exception.physical_address) == 24, "physical_address");

typedef uint32_t hv_reg_t;
#define HV_REG_X0   0U /* to X30 = 30; there is none for the zero register */
#define HV_REG_PC   31U
#define HV_REG_CPSR 34U

typedef uint16_t hv_sys_reg_t; /* a number of arm64_sysreg.h */

hv_return_t hv_vcpu_create(hv_vcpu_t *vcpu, hv_vcpu_exit_t **exit, hv_vcpu_config_t config);
hv_return_t hv_vcpu_destroy(hv_vcpu_t vcpu);
hv_return_t hv_vcpu_run(hv_vcpu_t vcpu);
hv_return_t hv_vcpus_exit(hv_vcpu_t *vcpus, uint32_t n);

hv_return_t hv_vcpu_get_reg(hv_vcpu_t vcpu, hv_reg_t reg, uint64_t *value);
hv_return_t hv_vcpu_set_reg(hv_vcpu_t vcpu, hv_reg_t reg, uint64_t value);
hv_return_t hv_vcpu_get_sys_reg(hv_vcpu_t vcpu, hv_sys_reg_t reg, uint64_t *value);
hv_return_t hv_vcpu_set_sys_reg(hv_vcpu_t vcpu, hv_sys_reg_t reg, uint64_t value);

/* value: 16 bytes. */
hv_return_t hv_vcpu_get_simd_fp_reg(hv_vcpu_t vcpu, uint32_t q, void *value);

/* The guest's virtual counter is mach_absolute_time less the offset. */
hv_return_t hv_vcpu_set_vtimer_offset(hv_vcpu_t vcpu, uint64_t offset);

/* ---- GICv3 --------------------------------------------------------------------------------- */

typedef struct hv_gic_config_s *hv_gic_config_t; /* released by os_release */

HVF_SINCE_MACOS_15 hv_gic_config_t hv_gic_config_create(void);
HVF_SINCE_MACOS_15 hv_return_t hv_gic_config_set_distributor_base(hv_gic_config_t config,
								  uint64_t ipa);
HVF_SINCE_MACOS_15 hv_return_t hv_gic_config_set_redistributor_base(hv_gic_config_t config,
								    uint64_t ipa);
HVF_SINCE_MACOS_15 hv_return_t hv_gic_get_redistributor_region_size(size_t *size);
HVF_SINCE_MACOS_15 hv_return_t hv_gic_get_spi_interrupt_range(uint32_t *first, uint32_t *count);
HVF_SINCE_MACOS_15 hv_return_t hv_gic_create(hv_gic_config_t config);
HVF_SINCE_MACOS_15 hv_return_t hv_gic_set_spi(uint32_t intid, bool level);

/* ---- What else of macOS -------------------------------------------------------------------- */

void os_release(void *object);
uint64_t mach_absolute_time(void);
int sysctlbyname(const char *name, void *old, size_t *old_len, void *new, size_t new_len);

#endif
