/* x86_64.c: layout of the address space, limits of the platform, and the boot processor's state in
 * each entry mode.
 *
 * What a guest finds ("SDM" is Intel's Software Developer's Manual, Vol. 3A):
 *
 * real       CS base 0 and IP the entry; from 64 KiB up CS = entry >> 4 and IP = entry & 15. Other
 *            segments at 0; SS:SP at the end of RAM below 64 KiB, at most 0xfff0.
 * protected  32-bit, paging off; flat 4 GiB segments, CS 0x08, the others 0x10.
 * long       64-bit; CS 0x08, the others 0x10; SSE enabled; what lies below 4 GiB and every
 *            gigabyte with memory or a device in it, but for PCI's window up there, mapped to
 *            itself, writable and executable.
 * reset      as after power-on (SDM 9.1.1): CS 0xf000 with base 0xffff0000, IP 0xfff0, the other
 *            segments and all general registers 0, caches off.
 *
 * A boot format whose protocol says so has other selectors, and values in RAX, RBX and RSI.
 *
 * In protected and long mode the GDT and page tables take the top of RAM below 640 KiB (where that
 * is taken, the top of RAM below 4 GiB), and the stack starts below them. Interrupts are off, and
 * there is no IDT: a fault before the guest has its own is a shutdown.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vibevmm/bytes.h>
#include <vibevmm/plan.h>

#include "x86_64_tables.h"

extern const struct arch_row arch_x86_64;

#define KIB 1024ULL
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

/* The rows' order matters twice: RAM by size fills RAM rows, and skips holes, in this order; and
 * free lines are given out in this order: low ones, since an operating system looks at every pin of
 * the I/O APIC up to the last that is used; those of a PC's own devices are left out.
 * PCI's places are among the devices': a machine without PCI uses them for others. */
static const struct layout_row layout[] = {
	{ LAYOUT_RAM, 0, 640 * KIB, "low ram" },
	{ LAYOUT_HOLE, 640 * KIB, 128 * KIB, "vga window" },
	{ LAYOUT_RAM, 768 * KIB, 3 * GIB - 768 * KIB, "ram" },
	{ LAYOUT_RAM, 4 * GIB, 0, "high ram" },
	{ LAYOUT_MMIO, 3 * GIB, 0xfec00000 - 3 * GIB, "devices" },
	{ LAYOUT_PCI, 0xd0000000, 256 * MIB, "pci window" },
	{ LAYOUT_PCI_CONFIG, 0xe0000000, 1 * MIB, "pci config" },
	{ LAYOUT_PCI, 512 * GIB, 512 * GIB, "pci window, 64-bit" },
	{ LAYOUT_PLATFORM, 0xfec00000, 4 * KIB, "ioapic" },
	{ LAYOUT_PLATFORM, 0xfee00000, 1 * MIB, "local apics" }, /* and MSI: SDM 11.11.1 */
	{ LAYOUT_PLATFORM, 0xfef00000, 16 * KIB,
	  "kvm tss" }, /* KVM_SET_TSS_ADDR, and 1 page more */
	{ LAYOUT_HOLE, 0xff000000, 16 * MIB, "rom space" },
	{ LAYOUT_PIO, 0x1000, 0xf000, "ports" },
	{ LAYOUT_PCI_PORTS, 0xc000, 4 * KIB, "pci ports" },
	{ LAYOUT_PIC_PORTS, 0x20, 2, "8259" },
	{ LAYOUT_PIC_PORTS, 0xa0, 2, "8259" },
	{ LAYOUT_PIC_PORTS, 0x4d0, 2, "8259 elcr" },
	{ LAYOUT_PIT_PORTS, 0x40, 4, "8254" },
	{ LAYOUT_PIT_PORTS, 0x61, 1, "8254 speaker" },
	{ LAYOUT_IRQ, 5, 1, "lines" },
	{ LAYOUT_IRQ, 9, 4, "lines" },
	{ LAYOUT_IRQ, 14, 10, "lines" },
	{ 0 },
};

/* ---- The platform ---------------------------------------------------------------------------- */

static void check_pit(struct plan *plan, struct diags *diags)
{
	if (!plan->config->platform.pit)
		return;
	plan->pit = plan->caps.caps & HV_CAP_PIT;
	if (!plan->pit)
		diag_error(diags, plan_mark(plan, "platform.pit"), "backend '%s' has no %s",
			   plan->backend_name, hv_cap_name(HV_CAP_PIT));
}

static void check_apic_ids(const struct plan *plan, struct diags *diags)
{
	unsigned vcpus = plan->config->vcpus, last;

	/* None, and too many of them, are errors of their own. */
	if (!vcpus || vcpus > plan->caps.max_vcpus)
		return;
	last = hv_x86_apic_id(&plan->topology, vcpus - 1);
	if (last <= HV_X86_APIC_ID_MAX)
		return;
	diag_error(diags, plan_mark(plan, last == vcpus - 1 ? "vcpus" : "topology"),
		   "vCPU %u would have APIC ID %u, and interrupts reach none above %u", vcpus - 1,
		   last, HV_X86_APIC_ID_MAX);
	if (last == vcpus - 1)
		diag_help(diags, "an x86_64 VM has at most %u vCPUs", HV_X86_APIC_ID_MAX + 1);
	else
		diag_help(diags, "numbers of cores and threads that are powers of two leave no "
				 "gaps between the IDs");
}

static void plan_platform(struct plan *plan, struct diags *diags)
{
	check_apic_ids(plan, diags);
	check_pit(plan, diags);
}

/* ---- Page tables: 4 levels (SDM 4.5) --------------------------------------------------------- */

#define PAGE	   4096ULL
#define LARGE_PAGE (2 * MIB)
#define TABLE_LEN  512ULL
#define PRESENT	   (1ULL << 0)
#define WRITABLE   (1ULL << 1)
#define LARGE	   (1ULL << 7)
#define LINK	   (PRESENT | WRITABLE)

/* Addresses map to themselves only below the canonical hole (SDM 3.3.7.1). */
#define MAPPED_TOP (1ULL << 47)

/* Gigabytes are mapped one by one, upwards: the next one, from `gib` on, that has to be; UINT64_MAX
 * at the end. The first four always are: device windows and local APICs are there. */
static uint64_t next_gib(const struct plan *plan, uint64_t gib)
{
	const struct plan_claim *window =
		plan_pool_claim(plan_find_role(plan, ROLE_PCI), POOL_PCI_WINDOW64);
	uint64_t next = UINT64_MAX;

	if (gib < 4)
		return gib;
	for (size_t i = 0; i < plan->n_regions && plan->regions[i].space == SPACE_MEM; i++) {
		const struct plan_region *r = &plan->regions[i];
		uint64_t first = r->start / GIB > gib ? r->start / GIB : gib;

		if (r->kind != REGION_HOLE && r->kind != REGION_BOOT && r->kind != REGION_TABLES &&
		    !(window && r->start == window->start) && first <= r->last / GIB &&
		    first < next)
			next = first;
	}
	return next < MAPPED_TOP / GIB ? next : UINT64_MAX;
}

/* Fills tables that begin at guest address `base`, or only counts: the number of pages. */
static uint64_t page_tables(const struct plan *plan, uint8_t *tables, uint64_t base)
{
	uint64_t pages = 1, pdpt = 0, pdpt_of = UINT64_MAX;

	for (uint64_t gib = next_gib(plan, 0); gib != UINT64_MAX; gib = next_gib(plan, gib + 1)) {
		if (gib / TABLE_LEN != pdpt_of) {
			pdpt_of = gib / TABLE_LEN;
			pdpt = pages++;
			if (tables)
				bytes_put64(tables + pdpt_of * 8, (base + pdpt * PAGE) | LINK);
		}
		if (tables) {
			uint8_t *pd = tables + pages * PAGE;

			bytes_put64(tables + pdpt * PAGE + gib % TABLE_LEN * 8,
				    (base + pages * PAGE) | LINK);
			for (uint64_t i = 0; i < TABLE_LEN; i++)
				bytes_put64(pd + i * 8,
					    (gib * GIB + i * LARGE_PAGE) | LINK | LARGE);
		}
		pages++;
	}
	return pages;
}

/* ---- Planning -------------------------------------------------------------------------------- */

/* How high an entry may lie: CS and IP reach 1 MiB, EIP 4 GiB. */
static const struct {
	const char *name;
	uint64_t top;
} modes[] = {
	[ENTRY_REAL] = { "real", 1 * MIB },
	[ENTRY_PROTECTED] = { "protected", 4 * GIB },
	[ENTRY_LONG] = { "long", MAPPED_TOP },
};

static void plan_entry(struct plan *plan, struct diags *diags)
{
	struct plan_entry *entry = &plan->entry;
	const char *name = "gdt";
	uint64_t size = PAGE;

	if (entry->mode == ENTRY_RESET)
		return;
	assert(entry->mode < ARRAY_SIZE(modes));
	if (entry->pc >= modes[entry->mode].top) {
		diag_error(diags, entry->mark, "entry 0x%llx is out of reach in %s mode",
			   (unsigned long long)entry->pc, modes[entry->mode].name);
		diag_help(diags, "it must be below 0x%llx",
			  (unsigned long long)modes[entry->mode].top);
		return;
	}
	if (entry->mode == ENTRY_REAL)
		return;
	if (entry->mode == ENTRY_LONG) {
		name = "page tables";
		size += page_tables(plan, NULL, 0) * PAGE;
	}
	if (!plan_boot_place(plan, NULL, name, size, PAGE, PAGE, 640 * KIB - 1, true, entry->mark,
			     &entry->tables))
		plan_boot_place(plan, diags, name, size, PAGE, PAGE, 4 * GIB - 1, true, entry->mark,
				&entry->tables);
}

/* ---- The state ------------------------------------------------------------------------------- */

/* SDM 2.5 and 2.2.1 */
#define CR0_PE	       (1ULL << 0)
#define CR0_MP	       (1ULL << 1)
#define CR0_ET	       (1ULL << 4)
#define CR0_NE	       (1ULL << 5)
#define CR0_NW	       (1ULL << 29)
#define CR0_CD	       (1ULL << 30)
#define CR0_PG	       (1ULL << 31)
#define CR4_PAE	       (1ULL << 5)
#define CR4_OSFXSR     (1ULL << 9)
#define CR4_OSXMMEXCPT (1ULL << 10)
#define EFER_LME       (1ULL << 8)
#define EFER_LMA       (1ULL << 10)

/* SDM 3.4.5.1 and 3.5: types with the accessed bit, as after a load. */
#define TYPE_DATA 0x3
#define TYPE_CODE 0xb
#define TYPE_TSS  0xb /* busy */

#define SELECTOR_CODE 0x08

static struct hv_x86_segment flat(uint16_t selector, uint8_t type, bool long_mode)
{
	return (struct hv_x86_segment){ .limit = UINT32_MAX,
					.selector = selector,
					.type = type,
					.present = true,
					.long_mode = long_mode,
					.db = !long_mode,
					.granularity = true };
}

static struct hv_x86_segment real(uint16_t selector, uint8_t type)
{
	return (struct hv_x86_segment){ .base = (uint64_t)selector << 4,
					.limit = 0xffff,
					.selector = selector,
					.type = type,
					.present = true };
}

/* A flat segment as its descriptor, SDM 3.4.5. */
static uint64_t descriptor(const struct hv_x86_segment *s)
{
	uint64_t flags =
		(uint64_t)s->granularity << 3 | (uint64_t)s->db << 2 | (uint64_t)s->long_mode << 1;
	uint64_t access = (uint64_t)s->present << 7 | (uint64_t)s->dpl << 5 |
			  (uint64_t)!s->system << 4 | s->type;
	uint64_t limit = s->granularity ? s->limit >> 12 : s->limit;

	return flags << 52 | (limit >> 16 & 0xf) << 48 | access << 40 | (limit & 0xffff);
}

/* The end of the RAM below 64 KiB, in reach of SS base 0. */
static uint64_t real_stack(const struct plan *plan)
{
	const uint64_t top = 0xfff0;
	uint64_t sp = 0;

	for (size_t i = 0; i < plan->n_regions; i++) {
		const struct plan_region *r = &plan->regions[i];

		if (r->kind == REGION_RAM && r->start < top)
			sp = r->last < top ? r->last + 1 : top;
	}
	return sp;
}

static void real_state(const struct plan *plan, struct hv_x86_entry *state)
{
	uint64_t pc = plan->entry.pc;
	uint16_t cs = pc < 64 * KIB ? 0 : (uint16_t)(pc >> 4);

	state->rip = pc - ((uint64_t)cs << 4);
	state->rsp = real_stack(plan);
	state->cr0 = CR0_ET;
	state->cs = real(cs, TYPE_CODE);
	state->data = real(0, TYPE_DATA);
	state->gdt_limit = 0xffff; /* SDM 9.1.1, table 9-1, and the vectors at 0 */
	state->idt_limit = 0x3ff;
}

/* SDM 9.1.1, table 9-1, but EDX, which has the processor's signature there. */
static void reset_state(struct hv_x86_entry *state)
{
	state->rip = 0xfff0;
	state->cr0 = CR0_ET | CR0_NW | CR0_CD;
	state->cs = real(0xf000, TYPE_CODE);
	state->cs.base = 0xffff0000;
	state->data = real(0, TYPE_DATA);
	state->gdt_limit = 0xffff;
	state->idt_limit = 0xffff;
}

static void flat_state(const struct plan *plan, struct hv_x86_entry *state)
{
	bool long_mode = plan->entry.mode == ENTRY_LONG;
	uint16_t code = plan->entry.code_selector ? plan->entry.code_selector : SELECTOR_CODE;

	assert(code % 8 == 0 && code < PAGE - 8);
	state->rip = plan->entry.pc;
	state->rsp = plan->entry.tables;
	state->gdt_base = plan->entry.tables;
	state->gdt_limit = (uint16_t)(code + 15);
	state->cs = flat(code, TYPE_CODE, long_mode);
	state->data = flat((uint16_t)(code + 8), TYPE_DATA, false);
	state->cr0 = CR0_PE | CR0_ET | CR0_NE;
	if (long_mode) {
		state->cr0 |= CR0_MP | CR0_PG;
		state->cr3 = plan->entry.tables + PAGE;
		state->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT;
		state->efer = EFER_LME | EFER_LMA;
	}
}

/* The GDT has the first page, page tables follow. */
static int write_tables(const struct plan *plan, struct memory *memory,
			const struct hv_x86_entry *state, struct err *err)
{
	uint64_t base = plan->entry.tables, size = PAGE;
	uint8_t *tables;

	if (plan->entry.mode == ENTRY_LONG)
		size += page_tables(plan, NULL, 0) * PAGE;
	tables = memory_ptr(memory, base, size, true);
	if (!base || !tables)
		return err_set(err, EFAULT, STATUS_BUG, "page tables lie outside of guest memory");
	bytes_put64(tables + state->cs.selector, descriptor(&state->cs));
	bytes_put64(tables + state->data.selector, descriptor(&state->data));
	if (plan->entry.mode == ENTRY_LONG)
		page_tables(plan, tables + PAGE, base + PAGE);
	return 0;
}

static int write_entry(const struct plan *plan, struct memory *memory, struct hv_entry *entry,
		       struct err *err)
{
	struct hv_x86_entry state = {
		.rflags = 1 << 1, /* always one: SDM Vol. 1, 3.4.3 */
		.rax = plan->entry.rax,
		.rbx = plan->entry.rbx,
		.rsi = plan->entry.rsi,
	};
	int ret = 0;

	/* A processor always has a task register: SDM 26.3.1.2 refuses to enter a guest without. */
	state.tr = (struct hv_x86_segment){
		.limit = 0x67, .type = TYPE_TSS, .present = true, .system = true
	};
	if (plan->entry.mode == ENTRY_RESET) {
		reset_state(&state);
	} else if (plan->entry.mode == ENTRY_REAL) {
		real_state(plan, &state);
	} else {
		flat_state(plan, &state);
		ret = write_tables(plan, memory, &state, err);
	}
	if (!ret)
		*entry = (struct hv_entry){ .x86 = state };
	return ret;
}

const struct arch_row arch_x86_64 = {
	.arch = ARCH_X86_64,
	.layout = layout,
	.irq_lines = 24, /* of one IOAPIC */
	.plan_platform = plan_platform,
	.plan_entry = plan_entry,
	.write_entry = write_entry,
	.plan_tables = x86_64_tables_plan,
	.write_tables = x86_64_tables_write,
	.each_table = x86_64_tables_each,
};
