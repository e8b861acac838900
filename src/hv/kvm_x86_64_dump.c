/* kvm_x86_64_dump.c: a vCPU's registers as text, for reports of crashes. */
#include <sys/ioctl.h>

#include <vibevmm/bytes.h>

#include "kvm_x86_64.h"

static void put_segment(struct text *t, const char *name, const struct kvm_segment *s)
{
	text_put(t,
		 "%-4s %04x  base %016llx  limit %08x  type %x s %u dpl %u p %u db %u l %u g %u\n",
		 name, s->selector, (unsigned long long)s->base, s->limit, s->type, s->s, s->dpl,
		 s->present, s->db, s->l, s->g);
}

/* The bytes at the instruction pointer, as far as they lie in its page and in guest memory. */
static void put_code(struct text *t, struct hv_vcpu *vcpu, uint64_t linear)
{
	struct kvm_translation tr = { .linear_address = linear };
	size_t len = 0x1000 - linear % 0x1000;
	const uint8_t *code = NULL;

	if (!ioctl(vcpu->fd, KVM_TRANSLATE, &tr) && tr.valid)
		code = kvm_memory_at(vcpu->vm, tr.physical_address, &len);
	if (!code) {
		text_put(t, "code is not in guest memory\n");
		return;
	}
	text_put(t, "code");
	text_put_bytes(t, code, len < 16 ? len : 16);
	text_put(t, "\n");
}

void kvm_x86_64_dump(struct hv_vcpu *vcpu, char *buf, size_t len)
{
	struct text t = { buf, len, 0 };
	struct kvm_regs r;
	struct kvm_sregs s;

	if (!len)
		return;
	buf[0] = '\0';
	if (ioctl(vcpu->fd, KVM_GET_REGS, &r) || ioctl(vcpu->fd, KVM_GET_SREGS, &s)) {
		text_put(&t, "vCPU %u: KVM hides the registers\n", vcpu->index);
		return;
	}
	const struct {
		const char *name;
		unsigned long long value;
	} numbers[] = {
		{ "rip", r.rip }, { "flags", r.rflags }, { "rsp", r.rsp },
		{ "rax", r.rax }, { "rbx", r.rbx },	 { "rcx", r.rcx },
		{ "rdx", r.rdx }, { "rsi", r.rsi },	 { "rdi", r.rdi },
		{ "rbp", r.rbp }, { "r8", r.r8 },	 { "r9", r.r9 },
		{ "r10", r.r10 }, { "r11", r.r11 },	 { "r12", r.r12 },
		{ "r13", r.r13 }, { "r14", r.r14 },	 { "r15", r.r15 },
		{ "cr0", s.cr0 }, { "cr2", s.cr2 },	 { "cr3", s.cr3 },
		{ "cr4", s.cr4 }, { "efer", s.efer },	 { "apic", s.apic_base },
	};
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		text_put(&t, "%-5s %016llx%s", numbers[i].name, numbers[i].value,
			 i % 3 == 2 ? "\n" : "  ");
	put_segment(&t, "cs", &s.cs);
	put_segment(&t, "ss", &s.ss);
	put_segment(&t, "ds", &s.ds);
	put_segment(&t, "es", &s.es);
	put_segment(&t, "fs", &s.fs);
	put_segment(&t, "gs", &s.gs);
	put_segment(&t, "tr", &s.tr);
	put_segment(&t, "ldt", &s.ldt);
	text_put(&t, "gdt        base %016llx  limit %04x\n", (unsigned long long)s.gdt.base,
		 s.gdt.limit);
	text_put(&t, "idt        base %016llx  limit %04x\n", (unsigned long long)s.idt.base,
		 s.idt.limit);
	put_code(&t, vcpu, (s.efer & 1 << 10) && s.cs.l ? r.rip : s.cs.base + r.rip);
}
