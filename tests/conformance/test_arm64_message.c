/* test_arm64_message.c: interrupt messages of every arm64 backend, by an ITS or a GICv2m frame,
 * sent by us and by eventfds. */
#include <sys/eventfd.h>

#include "conformance/irq_arm64.h"

static void bind_to(struct rig *rig, int fd, uint64_t addr, uint32_t data, uint32_t device)
{
	struct err err;

	if (rig->hv->msi_irqfd(rig->vm, fd, addr, data, device, true, &err))
		fail_msg("%s", err.text);
}

static void unbind(struct rig *rig, int fd)
{
	struct err err;

	if (rig->hv->msi_irqfd(rig->vm, fd, 0, 0, 0, false, &err))
		fail_msg("%s", err.text);
}

/* ---- ITS ------------------------------------------------------------------------------------ */

/* What the ITS and the redistributor keep in memory, each at 64 KiB: more than most need. */
#define DEVICES	     RIG_MORE
#define COLLECTIONS  (RIG_MORE + 0x10000U)
#define ITT	     (RIG_MORE + 0x20000U)
#define QUEUE	     (RIG_MORE + 0x30000U)
#define LPI_PENDING  (RIG_MORE + 0x40000U)
#define LPI_SETTINGS (RIG_MORE + 0x50000U) /* a byte each */

/* Arm IHI 0069, 2.2: the first LPI. 15: INTIDs have 16 bits. */
#define LPI	   8192U
#define INTID_BITS 15U

#define DEVICE	0x18U /* 00:03.0 */
#define EVENTS	8U
#define MESSAGE (RIG_ITS + 0x10040U) /* GITS_TRANSLATER, 12.18 */

/* Writes 32 bits to each address of a list at RIG_DATA, up to address 0; then takes interrupts. */
GUEST(its, VECTORS "mov x11, #0xb000; 2: ldp w12, w13, [x11], #8; cbz w12, 3f; str w13, [x12];"
		   "dsb sy; b 2b; 3:" CPU_V3 SLEEP);

struct writes {
	uint8_t *next;
};

static void write32(struct writes *list, uint32_t addr, uint32_t value)
{
	bytes_put32(list->next, addr);
	bytes_put32(list->next + 4, value);
	list->next += 8;
}

static void write64(struct writes *list, uint32_t addr, uint64_t value)
{
	write32(list, addr, (uint32_t)value);
	write32(list, addr + 4, (uint32_t)(value >> 32));
}

/* IHI 0069, 5.3: a command is four words of 64 bits. */
static void command(struct rig *rig, unsigned *n, uint64_t w0, uint64_t w1, uint64_t w2)
{
	uint8_t *at = rig->more + (QUEUE - RIG_MORE) + 32UL * (*n)++;

	bytes_put64(at, w0);
	bytes_put64(at + 8, w1);
	bytes_put64(at + 16, w2);
	bytes_put64(at + 24, 0);
}

/* DEVICE's event n is LPI + n, for collection 0, which is vCPU 0. Returns how many commands. */
static unsigned commands(struct rig *rig)
{
	const uint64_t valid = 1ULL << 63, device = (uint64_t)DEVICE << 32;
	unsigned n = 0;

	command(rig, &n, 0x09, 0, valid);		     /* MAPC */
	command(rig, &n, 0x08 | device, 3 - 1, valid | ITT); /* MAPD: 3 bits of events */
	for (uint64_t event = 0; event < EVENTS; event++)
		command(rig, &n, 0x0a | device, (LPI + event) << 32 | event, 0); /* MAPTI */
	command(rig, &n, 0x0d, 0, 0);						 /* INVALL */
	return n;
}

static void open_its(struct rig *rig, const struct hv_backend *hv)
{
	const uint64_t valid = 1ULL << 63, pages_64k = 2 << 8;
	struct hv_gic_config gic = rig_gic(HV_GIC_V3);
	struct writes list;

	rig_need(hv, HV_CAP_ITS | HV_CAP_MSI | HV_CAP_IRQFD);
	gic.its = RIG_ITS;
	rig_open_config(rig, hv,
			&(struct hv_vm_config){ .vcpus = 1,
						.topology = { 1, 1, 1 },
						.irqchip = HV_IRQCHIP_FULL,
						.gic = gic,
						.irq_lines = 8 });
	for (unsigned i = 0; i < EVENTS; i++)
		rig->more[LPI_SETTINGS - RIG_MORE + i] = 0xa0 | 1; /* priority, enabled */

	list.next = rig->ram + RIG_DATA;
	write32(&list, RIG_GICD, 0x12);				      /* GICD_CTLR */
	write32(&list, RIG_GICD + 0x84, 1U << LINE);		      /* GICD_IGROUPR1 */
	write32(&list, RIG_GICD + 0xc08, 2U << LINE * 2);	      /* GICD_ICFGR2: an edge */
	write32(&list, RIG_GICD + 0x104, 1U << LINE);		      /* GICD_ISENABLER1 */
	write64(&list, RIG_GICR + 0x70, LPI_SETTINGS | INTID_BITS);   /* GICR_PROPBASER */
	write64(&list, RIG_GICR + 0x78, LPI_PENDING | 1ULL << 62);    /* GICR_PENDBASER, all zero */
	write32(&list, RIG_GICR, 1);				      /* GICR_CTLR: LPIs */
	write64(&list, RIG_ITS + 0x80, valid | QUEUE);		      /* GITS_CBASER */
	write64(&list, RIG_ITS + 0x100, valid | DEVICES | pages_64k); /* GITS_BASER0 */
	write64(&list, RIG_ITS + 0x108, valid | COLLECTIONS | pages_64k); /* GITS_BASER1 */
	write32(&list, RIG_ITS, 1);					  /* GITS_CTLR */
	write64(&list, RIG_ITS + 0x88, 32UL * commands(rig));		  /* GITS_CWRITER */
	write32(&list, 0, 0);
	rig_put(rig, RIG_VECTORS + RIG_VECTOR_IRQ, v3_handler);
	rig_enter(rig, its);
	expect_says(rig, 0);
}

static void a_message_interrupts_by_the_its(void **state)
{
	const struct hv_backend *hv = *state;
	struct rig rig;

	open_its(&rig, hv);
	for (uint32_t event = 0; event < EVENTS; event++) {
		assert_int_equal(hv->msi_send(rig.vm, MESSAGE, event, DEVICE), 0);
		expect_says(&rig, LPI + event);
	}
	/* No such event, no such device, no such address; then one that counts. */
	hv->msi_send(rig.vm, MESSAGE, EVENTS, DEVICE);
	hv->msi_send(rig.vm, MESSAGE, 1, DEVICE + 8);
	hv->msi_send(rig.vm, RIG_GICR + 0x40, 1, DEVICE);
	assert_int_equal(hv->msi_send(rig.vm, MESSAGE, 5, DEVICE), 0);
	expect_says(&rig, LPI + 5);
	rig_close(&rig);
}

/* What should say nothing has the time of an interrupt by other means. */
static void expect_silent(struct rig *rig, int fd)
{
	assert_int_equal(eventfd_write(fd, 1), 0);
	assert_int_equal(rig->hv->msi_send(rig->vm, MESSAGE, 7, DEVICE), 0);
	expect_says(rig, LPI + 7);
	eventfd_read(fd, &(eventfd_t){ 0 }); /* or the next binding takes it for its own */
}

static void an_eventfd_sends_a_message_through_the_its(void **state)
{
	int fd = rig_eventfd(), other = rig_eventfd();
	struct rig rig;

	open_its(&rig, *state);
	for (int i = 0; i < 2; i++) {
		bind_to(&rig, fd, MESSAGE, 1, DEVICE);
		bind_to(&rig, other, MESSAGE, 2, DEVICE);
		assert_int_equal(eventfd_write(fd, 1), 0);
		expect_says(&rig, LPI + 1);
		assert_int_equal(eventfd_write(other, 1), 0);
		expect_says(&rig, LPI + 2);
		bind_to(&rig, fd, MESSAGE, 3, DEVICE);
		assert_int_equal(eventfd_write(fd, 1), 0);
		expect_says(&rig, LPI + 3);
		bind_to(&rig, fd, MESSAGE, 3, DEVICE + 8); /* a device that nobody mapped */
		expect_silent(&rig, fd);
		unbind(&rig, other);
		expect_silent(&rig, other);
		unbind(&rig, fd);
	}
	rig_close(&rig);
	close(fd);
	close(other);
}

static void lines_work_beside_messages(void **state)
{
	const struct hv_backend *hv = *state;
	int fd = rig_eventfd(), line = rig_eventfd();
	struct rig rig;
	struct err err;

	open_its(&rig, hv);
	if (hv->irqfd(rig.vm, LINE, line, &err))
		fail_msg("%s", err.text);
	bind_to(&rig, fd, MESSAGE, 1, DEVICE);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(eventfd_write(line, 1), 0);
		expect_says(&rig, INTID);
		assert_int_equal(eventfd_write(fd, 1), 0);
		expect_says(&rig, LPI + 1);
		hv->irq_set(rig.vm, LINE, true);
		expect_says(&rig, INTID);
		hv->irq_set(rig.vm, LINE, false);
	}
	rig_close(&rig);
	close(fd);
	close(line);
}

/* ---- GICv2m --------------------------------------------------------------------------------- */

#define FRAME 0x08020000U
#define SPI   (FRAME + HV_GICV2M_SETSPI)

/* As the other guests, but they take lines 0 to 7, all of them edges. */
GUEST(edges, VECTORS "mov w1, #0x12; str w1, [x10]; mov w1, #0xff; str w1, [x10, #0x84];"
		     "str w1, [x10, #0x104]; mov w1, #0xaaaa; str w1, [x10, #0xc08];" CPU_V3 SLEEP);
GUEST(edges_v2, VECTORS "add x11, x10, #0x10000; mov w1, #0x01010101; str w1, [x10, #0x820];"
			"str w1, [x10, #0x824]; mov w1, #0xaaaa; str w1, [x10, #0xc08];"
			"mov w1, #0xff; str w1, [x10, #0x104]; mov w1, #1; str w1, [x10];"
			"mov w1, #0xff; str w1, [x11, #4]; mov w1, #1; str w1, [x11];" SLEEP);

/* A frame of lines 2 to 4, with whichever controller the host has. */
static void open_frame(struct rig *rig, const struct hv_backend *hv)
{
	struct hv_caps caps;
	struct hv_gic_config gic;
	struct err err;
	bool v3;

	rig_need(hv, HV_CAP_IRQ_LINE | HV_CAP_MSI);
	assert_int_equal(hv->probe(&caps, &err), 0);
	v3 = caps.caps & HV_CAP_GICV3;
	gic = rig_gic(v3 ? HV_GIC_V3 : HV_GIC_V2);
	gic.frame = FRAME;
	gic.frame_line = LINE - 1;
	gic.frame_lines = 3;
	rig_open_config(rig, hv,
			&(struct hv_vm_config){ .vcpus = 1,
						.topology = { 1, 1, 1 },
						.irqchip = HV_IRQCHIP_FULL,
						.gic = gic,
						.irq_lines = 8 });
	if (v3) {
		rig_put(rig, RIG_VECTORS + RIG_VECTOR_IRQ, v3_handler);
		rig_enter(rig, edges);
	} else {
		rig_put(rig, RIG_VECTORS + RIG_VECTOR_IRQ, v2_handler);
		rig_enter(rig, edges_v2);
	}
	expect_says(rig, 0);
}

/* Not every backend has eventfds that send messages. */
static bool has_irqfd(const struct hv_backend *hv)
{
	struct hv_caps caps;
	struct err err;

	return !hv->probe(&caps, &err) && (caps.caps & HV_CAP_IRQFD);
}

static void a_message_to_a_frame_is_an_edge_on_a_line(void **state)
{
	const struct hv_backend *hv = *state;
	int fd = rig_eventfd();
	struct rig rig;

	open_frame(&rig, hv);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(hv->msi_send(rig.vm, SPI, INTID, 0), 0);
		expect_says(&rig, INTID);
		if (!has_irqfd(hv))
			continue;
		bind_to(&rig, fd, SPI, INTID, 0);
		assert_int_equal(eventfd_write(fd, 1), 0);
		expect_says(&rig, INTID);
		unbind(&rig, fd);
	}
	rig_close(&rig);
	close(fd);
}

/* Lines that are not the frame's are out of its reach, and so is all that is no line. */
static void a_frame_reaches_its_own_lines_alone(void **state)
{
	const uint32_t others[] = { 0, 31, INTID - 2, INTID + 2, 1023, UINT32_MAX };
	const struct hv_backend *hv = *state;
	int fd = rig_eventfd();
	struct rig rig;

	open_frame(&rig, hv);
	for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
		hv->msi_send(rig.vm, SPI, others[i], 0);
		hv->msi_send(rig.vm, SPI + 4, INTID, 0);
		if (!has_irqfd(hv))
			continue;
		bind_to(&rig, fd, SPI, others[i], 0);
		assert_int_equal(eventfd_write(fd, 1), 0);
	}
	assert_int_equal(hv->msi_send(rig.vm, SPI, INTID + 1, 0), 0);
	expect_says(&rig, INTID + 1);
	if (has_irqfd(hv))
		unbind(&rig, fd);
	rig_close(&rig);
	close(fd);
}

int main(void)
{
	static const struct rig_test tests[] = {
		RIG_TEST(a_message_interrupts_by_the_its),
		RIG_TEST(an_eventfd_sends_a_message_through_the_its),
		RIG_TEST(lines_work_beside_messages),
		RIG_TEST(a_message_to_a_frame_is_an_edge_on_a_line),
		RIG_TEST(a_frame_reaches_its_own_lines_alone),
	};

	return rig_run_tests(tests, ARRAY_SIZE(tests));
}
