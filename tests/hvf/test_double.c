/* test_double.c: the double keeps the rules of Apple's API: see the head of src/hv/hvf_api.h. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../src/hv/arm64_sysreg.h"
#include "../../src/hv/hvf_api.h"

#define RAM_SIZE 0x10000U
#define CODE	 0x1000U
#define DEVICE	 0x30000U

static uint8_t *ram;
static hv_vcpu_t vcpu;
static hv_vcpu_exit_t *out;

/* str x1, [x9]; ldrb w2, [x9]; hvc #0; b . */
static const uint32_t access_code[] = { 0xf9000121, 0x39400122, 0xd4000002, 0x14000000 };
/* msr CNTV_TVAL_EL0, xzr; msr CNTV_CTL_EL0, x1; isb; 1: ldr x2, [x9]; b 1b */
static const uint32_t timer_code[] = { 0xd51be31f, 0xd51be321, 0xd5033fdf, 0xf9400122, 0x17ffffff };

static void open_vm(void)
{
	alarm(60);
	ram = mmap(NULL, 2UL * RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		   0);
	assert_ptr_not_equal(ram, MAP_FAILED);
	ram += HVF_PAGE - (uintptr_t)ram % HVF_PAGE;
	assert_int_equal(hv_vm_create(NULL), HV_SUCCESS);
	assert_int_equal(
		hv_vm_map(ram, 0, RAM_SIZE, HV_MEMORY_READ | HV_MEMORY_WRITE | HV_MEMORY_EXEC),
		HV_SUCCESS);
}

static void open_vcpu(const uint32_t *code, size_t size)
{
	memcpy(ram + CODE, code, size);
	assert_int_equal(hv_vcpu_create(&vcpu, &out, NULL), HV_SUCCESS);
	assert_int_equal(hv_vcpu_set_sys_reg(vcpu, ARM64_MPIDR_EL1, 0x80000000), HV_SUCCESS);
	assert_int_equal(hv_vcpu_set_reg(vcpu, HV_REG_PC, CODE), HV_SUCCESS);
	assert_int_equal(hv_vcpu_set_reg(vcpu, HV_REG_CPSR, 0x3c5), HV_SUCCESS);
	assert_int_equal(hv_vcpu_set_reg(vcpu, HV_REG_X0 + 9, DEVICE), HV_SUCCESS);
	assert_int_equal(hv_vcpu_set_reg(vcpu, HV_REG_X0 + 1, 1), HV_SUCCESS);
}

static void close_all(void)
{
	assert_int_equal(hv_vcpu_destroy(vcpu), HV_SUCCESS);
	assert_int_equal(hv_vm_destroy(), HV_SUCCESS);
}

static uint64_t reg(hv_reg_t n)
{
	uint64_t value = 0;

	assert_int_equal(hv_vcpu_get_reg(vcpu, n, &value), HV_SUCCESS);
	return value;
}

static void run_to(hv_exit_reason_t reason)
{
	assert_int_equal(hv_vcpu_run(vcpu), HV_SUCCESS);
	assert_int_equal(out->reason, reason);
}

static void a_process_has_one_vm(void **state)
{
	(void)state;
	open_vm();
	assert_int_equal(hv_vm_create(NULL), HV_BUSY);
	assert_int_equal(hv_vm_destroy(), HV_SUCCESS);
	assert_int_equal(hv_vm_destroy(), HV_NO_DEVICE);
}

static void memory_is_in_pages_of_16_KiB(void **state)
{
	const hv_memory_flags_t all = HV_MEMORY_READ | HV_MEMORY_WRITE;

	(void)state;
	open_vm();
	assert_int_equal(hv_vm_map(ram + 0x1000, RAM_SIZE, HVF_PAGE, all), HV_BAD_ARGUMENT);
	assert_int_equal(hv_vm_map(ram, RAM_SIZE + 0x1000, HVF_PAGE, all), HV_BAD_ARGUMENT);
	assert_int_equal(hv_vm_map(ram, RAM_SIZE, 0x1000, all), HV_BAD_ARGUMENT);
	assert_int_equal(hv_vm_map(ram, RAM_SIZE, HVF_PAGE, all), HV_SUCCESS);
	assert_int_equal(hv_vm_unmap(RAM_SIZE, HVF_PAGE), HV_SUCCESS);
	assert_int_equal(hv_vm_destroy(), HV_SUCCESS);
}

/* Returns NULL if all it did was refused. */
static void *stranger(void *arg)
{
	uint64_t value;

	if (!hv_vcpu_run(vcpu) || !hv_vcpu_get_reg(vcpu, HV_REG_PC, &value) ||
	    !hv_vcpu_set_reg(vcpu, HV_REG_PC, 0) || !hv_vcpu_destroy(vcpu))
		return arg;
	return NULL;
}

static void a_vcpu_is_for_its_own_thread(void **state)
{
	hv_vcpu_exit_t *other_exit;
	hv_vcpu_t other;
	pthread_t thread;
	void *broken;

	(void)state;
	open_vm();
	open_vcpu(access_code, sizeof(access_code));
	assert_int_equal(pthread_create(&thread, NULL, stranger, ram), 0);
	pthread_join(thread, &broken);
	assert_null(broken);
	assert_int_equal(hv_vcpu_create(&other, &other_exit, NULL), HV_BUSY);
	assert_int_equal(hv_vm_destroy(), HV_BUSY);
	close_all();
}

static void the_gic_comes_before_vcpus(void **state)
{
	hv_gic_config_t config = hv_gic_config_create();

	(void)state;
	open_vm();
	open_vcpu(access_code, sizeof(access_code));
	assert_int_equal(hv_gic_create(config), HV_BUSY);
	os_release(config);
	close_all();
}

static void cancelling_lasts_until_the_next_run(void **state)
{
	(void)state;
	open_vm();
	open_vcpu(access_code, sizeof(access_code));
	assert_int_equal(hv_vcpus_exit(&vcpu, 1), HV_SUCCESS);
	assert_int_equal(hv_vcpus_exit(&vcpu, 1), HV_SUCCESS);
	run_to(HV_EXIT_REASON_CANCELED);
	assert_int_equal(reg(HV_REG_PC), CODE);
	run_to(HV_EXIT_REASON_EXCEPTION);
	close_all();
}

static void an_access_leaves_all_registers_alone(void **state)
{
	(void)state;
	open_vm();
	open_vcpu(access_code, sizeof(access_code));
	assert_int_equal(hv_vcpu_set_reg(vcpu, HV_REG_X0 + 1, 0x1234567890), HV_SUCCESS);
	run_to(HV_EXIT_REASON_EXCEPTION);
	assert_int_equal(reg(HV_REG_PC), CODE);
	assert_int_equal(out->exception.physical_address, DEVICE);
	/* EC, IL, ISV, SAS 3, SRT 1, SF, WnR */
	assert_int_equal(out->exception.syndrome >> 26, 0x24);
	assert_int_equal(out->exception.syndrome & 0x3ffffc0, 0x3c18040);
	assert_int_equal(hv_vcpu_set_reg(vcpu, HV_REG_PC, CODE + 4), HV_SUCCESS);
	assert_int_equal(hv_vcpu_set_reg(vcpu, HV_REG_X0 + 2, 0xa5), HV_SUCCESS);
	run_to(HV_EXIT_REASON_EXCEPTION);
	assert_int_equal(reg(HV_REG_PC), CODE + 4);
	assert_int_equal(reg(HV_REG_X0 + 2), 0xa5);
	/* ISV, SAS 0, SRT 2 */
	assert_int_equal(out->exception.syndrome & 0x3ffffc0, 0x3020000);
	assert_int_equal(hv_vcpu_set_reg(vcpu, HV_REG_X0, 0xc600ff01), HV_SUCCESS);
	assert_int_equal(hv_vcpu_set_reg(vcpu, HV_REG_PC, CODE + 8), HV_SUCCESS);
	run_to(HV_EXIT_REASON_EXCEPTION);
	assert_int_equal(out->exception.syndrome >> 26, 0x16);
	assert_int_equal(reg(HV_REG_PC), CODE + 12);
	close_all();
}

/* x1 is 1: the timer's ENABLE. */
static void the_timer_masks_itself(void **state)
{
	(void)state;
	open_vm();
	open_vcpu(timer_code, sizeof(timer_code));
	do
		assert_int_equal(hv_vcpu_run(vcpu), HV_SUCCESS);
	while (out->reason == HV_EXIT_REASON_EXCEPTION);
	assert_int_equal(out->reason, HV_EXIT_REASON_VTIMER_ACTIVATED);
	for (int i = 0; i < 5; i++)
		run_to(HV_EXIT_REASON_EXCEPTION);
	close_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_process_has_one_vm),
		cmocka_unit_test(memory_is_in_pages_of_16_KiB),
		cmocka_unit_test(a_vcpu_is_for_its_own_thread),
		cmocka_unit_test(the_gic_comes_before_vcpus),
		cmocka_unit_test(cancelling_lasts_until_the_next_run),
		cmocka_unit_test(an_access_leaves_all_registers_alone),
		cmocka_unit_test(the_timer_masks_itself),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
