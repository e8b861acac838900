/* test_arch.c: layouts, and the boot processor's state in each entry mode. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <vibevmm/bytes.h>
#include <vibevmm/plan.h>

#define MIB 0x100000ULL
#define GIB 0x40000000ULL

/* A VM that is nothing but memory, on the planner's own road. */
struct vm {
	struct vm_config config;
	struct registry registry;
	struct config_choice ram[2];
	struct memory_ram options[2];
	struct diags *diags;
	struct plan *plan;
	struct memory *memory;
	struct hv_entry entry;
};

static void vm_plan(struct vm *vm, enum arch arch, uint64_t size)
{
	vm->config.name = (char *)"test";
	vm->config.arch = arch;
	vm->config.vcpus = 1;
	vm->config.memory_size = size;
	vm->diags = diags_new();
	vm->plan = plan_make(&vm->config, &vm->registry, arch_find(arch), NULL, NULL, vm->diags);
	assert_non_null(vm->plan);
	assert_int_equal(diags_errors(vm->diags), 0);
}

static void vm_plan_map(struct vm *vm, uint64_t at, uint64_t size, uint64_t at2, uint64_t size2)
{
	vm->options[0] = (struct memory_ram){ at, size };
	vm->options[1] = (struct memory_ram){ at2, size2 };
	for (uint32_t i = 0; i < 2; i++)
		vm->ram[i] = (struct config_choice){ .index = MEMORY_RAM,
						     .type = config_memory_types(&(size_t){ 0 })[0],
						     .options = &vm->options[i],
						     .position = i };
	vm->config.memory = vm->ram;
	vm->config.n_memory = size2 ? 2 : 1;
	vm_plan(vm, ARCH_X86_64, 0);
}

/* Plans the entry; the number of errors so far. */
static size_t vm_entry(struct vm *vm, enum entry_mode mode, uint64_t pc)
{
	plan_set_entry(vm->plan, vm->diags, mode, pc, MARK_NONE);
	if (vm->plan->entry.set)
		vm->plan->arch->plan_entry(vm->plan, vm->diags);
	return diags_errors(vm->diags);
}

static void vm_write(struct vm *vm)
{
	struct err err;

	vm->memory = memory_new();
	for (size_t i = 0; i < vm->plan->n_regions; i++) {
		const struct plan_region *r = &vm->plan->regions[i];

		if (r->kind == REGION_RAM)
			assert_int_equal(
				memory_add(vm->memory, r->start, r->last - r->start + 1, 0, &err),
				0);
	}
	assert_int_equal(vm->plan->arch->write_entry(vm->plan, vm->memory, &vm->entry, &err), 0);
}

static void vm_free(struct vm *vm)
{
	memory_free(vm->memory);
	plan_free(vm->plan);
	diags_free(vm->diags);
	memset(vm, 0, sizeof(*vm));
}

static uint64_t peek(const struct vm *vm, uint64_t gpa)
{
	uint8_t bytes[8];

	assert_int_equal(memory_read(vm->memory, gpa, bytes, 8), 0);
	return bytes_get64(bytes);
}

/* The processor's walk (SDM 4.5); UINT64_MAX if an entry isn't present. */
static uint64_t walk(const struct vm *vm, uint64_t addr)
{
	uint64_t e = vm->entry.x86.cr3;

	for (int shift = 39; shift >= 21; shift -= 9) {
		e = peek(vm, (e & 0x000ffffffffff000) + (addr >> shift & 511) * 8);
		if ((e & 3) != 3)
			return UINT64_MAX;
	}
	assert_true(e & 1 << 7);
	return (e & 0x000fffffffe00000) + (addr & 0x1fffff);
}

static void layouts_are_well_formed(void **state)
{
	const enum arch arches[] = { ARCH_X86_64, ARCH_ARM64 };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		const struct arch_row *arch = arch_find(arches[i]);
		unsigned kinds = 0;

		assert_int_equal(arch->arch, arches[i]);
		for (const struct layout_row *a = arch->layout; a->name; a++) {
			kinds |= 1U << a->kind;
			assert_true(a->size || a->kind == LAYOUT_RAM);
			assert_true(a->start + a->size >= a->start);
			if (a->kind == LAYOUT_IRQ)
				assert_true(a->start + a->size <= arch->irq_lines);
			if (a->kind == LAYOUT_PIO || a->kind == LAYOUT_PIC_PORTS ||
			    a->kind == LAYOUT_PIT_PORTS)
				assert_true(a->start + a->size <= 0x10000);
			/* Devices go where neither RAM nor the platform can be. */
			for (const struct layout_row *b = arch->layout; b->name; b++) {
				if (a->kind != LAYOUT_MMIO ||
				    (b->kind != LAYOUT_RAM && b->kind != LAYOUT_PLATFORM &&
				     b->kind != LAYOUT_HOLE))
					continue;
				assert_true(a->start >= b->start + b->size ||
					    a->start + a->size <= b->start);
				assert_true(b->size || b->start >= a->start + a->size);
			}
		}
		assert_true(kinds & 1U << LAYOUT_RAM);
		assert_true(kinds & 1U << LAYOUT_MMIO);
		assert_true(kinds & 1U << LAYOUT_IRQ);
	}
	assert_null(arch_find((enum arch)64));
}

static void no_isa_line_of_a_pc_is_given_out_freely(void **state)
{
	static const unsigned taken[] = { 0, 1, 2, 8, 13 };

	(void)state;
	for (const struct layout_row *row = arch_find(ARCH_X86_64)->layout; row->name; row++) {
		for (size_t i = 0; row->kind == LAYOUT_IRQ && i < ARRAY_SIZE(taken); i++)
			assert_false(taken[i] >= row->start && taken[i] < row->start + row->size);
	}
}

static void real_mode_starts_with_cs_base_0_below_64k(void **state)
{
	struct vm vm = { 0 };

	(void)state;
	/* Micro VMM's machine: 64 KiB from 0x1000. */
	vm_plan_map(&vm, 0x1000, 0x10000, 0, 0);
	assert_int_equal(vm_entry(&vm, ENTRY_REAL, 0x1000), 0);
	vm_write(&vm);
	assert_int_equal(vm.entry.x86.cs.base, 0);
	assert_int_equal(vm.entry.x86.cs.selector, 0);
	assert_int_equal(vm.entry.x86.rip, 0x1000);
	assert_int_equal(vm.entry.x86.cs.limit, 0xffff);
	assert_int_equal(vm.entry.x86.rsp, 0xfff0);
	assert_int_equal(vm.entry.x86.rflags, 2);
	assert_int_equal(vm.entry.x86.cr0 & 1, 0);
	assert_int_equal(vm.plan->entry.tables, 0);
	vm_free(&vm);
}

static void real_mode_entry_above_64k_moves_cs(void **state)
{
	struct vm vm = { 0 };

	(void)state;
	vm_plan(&vm, ARCH_X86_64, 2 * MIB);
	assert_int_equal(vm_entry(&vm, ENTRY_REAL, 0xfff05), 0);
	vm_write(&vm);
	assert_int_equal(vm.entry.x86.cs.selector, 0xfff0);
	assert_int_equal(vm.entry.x86.cs.base, 0xfff00);
	assert_int_equal(vm.entry.x86.rip, 5);
	vm_free(&vm);
}

static void real_mode_stack_stays_inside_small_ram(void **state)
{
	struct vm vm = { 0 };

	(void)state;
	vm_plan_map(&vm, 0, 0x2000, 0x100000, 0x1000);
	assert_int_equal(vm_entry(&vm, ENTRY_REAL, 0x1000), 0);
	vm_write(&vm);
	assert_int_equal(vm.entry.x86.rsp, 0x2000);
	vm_free(&vm);
}

static void modes_refuse_entries_out_of_their_reach(void **state)
{
	struct vm vm = { 0 };

	(void)state;
	vm_plan(&vm, ARCH_X86_64, 5 * GIB);
	assert_int_equal(vm_entry(&vm, ENTRY_REAL, 0xfffff), 0);
	assert_int_equal(vm_entry(&vm, ENTRY_REAL, 0x100000), 1);
	assert_int_equal(vm_entry(&vm, ENTRY_PROTECTED, 4 * GIB), 2);
	assert_int_equal(vm_entry(&vm, ENTRY_LONG, 4 * GIB), 2);
	vm_free(&vm);
	vm_plan(&vm, ARCH_ARM64, 16 * MIB);
	assert_int_equal(vm_entry(&vm, ENTRY_EL1, 0x40000004), 0);
	assert_int_equal(vm_entry(&vm, ENTRY_EL1, 0x40000002), 1);
	vm_free(&vm);
}

static void protected_mode_has_flat_segments_out_of_its_gdt(void **state)
{
	struct hv_x86_entry *x;
	struct vm vm = { 0 };

	(void)state;
	vm_plan(&vm, ARCH_X86_64, 64 * MIB);
	assert_int_equal(vm_entry(&vm, ENTRY_PROTECTED, 0x1000), 0);
	vm_write(&vm);
	x = &vm.entry.x86;
	assert_int_equal(vm.plan->entry.tables, 0x9f000);
	assert_int_equal(x->rsp, 0x9f000);
	assert_int_equal(x->cr0, 0x31);
	assert_int_equal(x->efer, 0);
	assert_int_equal(x->cs.limit, UINT32_MAX);
	assert_true(x->cs.db);
	assert_false(x->cs.long_mode);
	assert_int_equal(x->gdt_base, 0x9f000);
	assert_int_equal(x->gdt_limit, 23);
	/* SDM 3.4.5, figure 3-8, worked out by hand. */
	assert_int_equal(peek(&vm, x->gdt_base), 0);
	assert_int_equal(peek(&vm, x->gdt_base + x->cs.selector), 0x00cf9b000000ffff);
	assert_int_equal(peek(&vm, x->gdt_base + x->data.selector), 0x00cf93000000ffff);
	vm_free(&vm);
}

static void long_mode_maps_4_gib_and_all_ram_to_itself(void **state)
{
	struct hv_x86_entry *x;
	struct vm vm = { 0 };

	(void)state;
	vm_plan(&vm, ARCH_X86_64, 5 * GIB); /* up to 6 GiB: 2 above 4 */
	assert_int_equal(vm_entry(&vm, ENTRY_LONG, 0x1000), 0);
	vm_write(&vm);
	x = &vm.entry.x86;
	assert_int_equal(x->cr0, 0x80000033);
	assert_int_equal(x->cr4 & 0x20, 0x20);
	assert_int_equal(x->efer, 0x500);
	assert_true(x->cs.long_mode);
	assert_false(x->cs.db);
	assert_int_equal(peek(&vm, x->gdt_base + x->cs.selector), 0x00af9b000000ffff);
	for (uint64_t addr = 0; addr < 6 * GIB; addr += 2 * MIB)
		assert_int_equal(walk(&vm, addr + 0x123), addr + 0x123);
	assert_int_equal(walk(&vm, 6 * GIB), UINT64_MAX);
	assert_int_equal(walk(&vm, 512 * GIB), UINT64_MAX);
	vm_free(&vm);
}

static void long_mode_maps_distant_memory_without_what_lies_between(void **state)
{
	const uint64_t far = 0x10000000000; /* 1 TiB */
	struct vm vm = { 0 };

	(void)state;
	vm_plan_map(&vm, 0, 16 * MIB, far, 16 * MIB);
	assert_int_equal(vm_entry(&vm, ENTRY_LONG, far), 0);
	vm_write(&vm);
	assert_int_equal(walk(&vm, far + 0x42), far + 0x42);
	assert_int_equal(walk(&vm, far - 1), UINT64_MAX);
	assert_int_equal(walk(&vm, 4 * GIB - 1), 4 * GIB - 1);
	vm_free(&vm);
}

static void tables_keep_clear_of_the_image(void **state)
{
	const struct plan_region *r;
	struct vm vm = { 0 };

	(void)state;
	vm_plan_map(&vm, 0x1000, 0x10000, 0, 0);
	assert_true(plan_boot_fixed(vm.plan, vm.diags, "image", 0xa000, 0x7000, MARK_NONE));
	assert_int_equal(vm_entry(&vm, ENTRY_LONG, 0xa000), 0);
	r = plan_region_at(vm.plan, SPACE_MEM, 1U << REGION_BOOT, vm.plan->entry.tables);
	assert_string_equal(r->owner, "page tables");
	assert_int_equal(r->last, 0x9fff);
	assert_int_equal(r->last - r->start + 1, 7 * 4096);
	vm_free(&vm);
}

static void ram_too_small_for_page_tables_is_an_error(void **state)
{
	struct vm vm = { 0 };

	(void)state;
	vm_plan_map(&vm, 0x1000, 0x6000, 0, 0);
	assert_int_equal(vm_entry(&vm, ENTRY_LONG, 0x1000), 1);
	assert_int_equal(vm.plan->entry.tables, 0);
	vm_free(&vm);
}

static void tables_go_above_1_mib_when_low_ram_is_taken(void **state)
{
	struct vm vm = { 0 };

	(void)state;
	vm_plan(&vm, ARCH_X86_64, 16 * MIB);
	assert_true(plan_boot_fixed(vm.plan, vm.diags, "image", 0, 0xa0000, MARK_NONE));
	assert_int_equal(vm_entry(&vm, ENTRY_LONG, 0x1000), 0);
	assert_int_equal(vm.plan->entry.tables, 16 * MIB - 7 * 4096);
	vm_free(&vm);
}

static void arm64_starts_at_its_entry_with_x0_zero(void **state)
{
	struct vm vm = { 0 };

	(void)state;
	vm_plan(&vm, ARCH_ARM64, 16 * MIB);
	assert_int_equal(vm_entry(&vm, ENTRY_EL1, GIB), 0);
	vm_write(&vm);
	assert_int_equal(vm.entry.arm64.pc, GIB);
	assert_int_equal(vm.entry.arm64.x0, 0);
	vm_free(&vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layouts_are_well_formed),
		cmocka_unit_test(no_isa_line_of_a_pc_is_given_out_freely),
		cmocka_unit_test(real_mode_starts_with_cs_base_0_below_64k),
		cmocka_unit_test(real_mode_entry_above_64k_moves_cs),
		cmocka_unit_test(real_mode_stack_stays_inside_small_ram),
		cmocka_unit_test(modes_refuse_entries_out_of_their_reach),
		cmocka_unit_test(protected_mode_has_flat_segments_out_of_its_gdt),
		cmocka_unit_test(long_mode_maps_4_gib_and_all_ram_to_itself),
		cmocka_unit_test(long_mode_maps_distant_memory_without_what_lies_between),
		cmocka_unit_test(tables_keep_clear_of_the_image),
		cmocka_unit_test(ram_too_small_for_page_tables_is_an_error),
		cmocka_unit_test(tables_go_above_1_mib_when_low_ram_is_taken),
		cmocka_unit_test(arm64_starts_at_its_entry_with_x0_zero),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
