/* common.h: what several platform devices share. */
#ifndef DEVICE_COMMON_H
#define DEVICE_COMMON_H

#include <vibevmm/device.h>

/* create, destroy and reset of a device without state. */
int device_create_nothing(struct device *dev, struct err *err);
void device_nothing(struct device *dev);

/* read of a device whose registers can only be written. */
uint64_t device_read_nothing(struct device *dev, unsigned claim, uint64_t offset, unsigned size);

/* For a row's check: reports `port` and `at` in one entry, two places for the same registers. */
void device_check_place(const struct node *node, struct diags *diags);

/* The identification registers at the end of an Arm PrimeCell's 4 KiB, which all look alike: four
 * bytes of the peripheral's number, then four that say PrimeCell (as in DDI 0183, 3.3.14 ff.).
 * Below them, 0. */
#define DEVICE_PRIMECELL_SIZE 0x1000
#define DEVICE_PRIMECELL_IDS  0xfe0
static inline uint8_t device_primecell_id(uint32_t peripheral, uint64_t offset)
{
	uint64_t ids = 0xb105f00dULL << 32 | peripheral;

	if (offset < DEVICE_PRIMECELL_IDS)
		return 0;
	return (uint8_t)(ids >> (offset - DEVICE_PRIMECELL_IDS) / 4 * 8);
}

/* Its claims, for a row's list: registers and one line, which go to the options `at` and `irq`, and
 * are first looked for where QEMU's `virt` machine has them and guests made for that expect them.
 */
#define DEVICE_PRIMECELL_CLAIMS(usual_at, usual_irq)                                               \
	{ .name = "registers",                                                                     \
	  .space = SPACE_MEM,                                                                      \
	  .size = DEVICE_PRIMECELL_SIZE,                                                           \
	  .fix = "at",                                                                             \
	  .prefer = (const uint64_t[]){ usual_at },                                                \
	  .n_prefer = 1,                                                                           \
	  .width = 4 },                                                                            \
	{                                                                                          \
		.name = "interrupt", .space = SPACE_IRQ, .size = 1, .fix = "irq",                  \
		.prefer = (const uint64_t[]){ usual_irq }, .n_prefer = 1                           \
	}

/* Standard input, if the planner gave it to this device. Reading starts when the guest first looks
 * for input: one that never does costs no thread, and its terminal is left alone. */
struct device_input {
	bool asleep; /* connected, but nobody looked yet */
	bool awake;
};

void device_input_init(struct device *dev, struct device_input *input);

/* The guest looks. ready and arg as for console_listen; NULL for a device that is only polled. */
void device_input_wake(struct device *dev, struct device_input *input, console_ready_fn ready,
		       void *arg);

/* As console_get and console_has_input; there is none before the guest looks, nor ever if the
 * input belongs to another device. */
int device_input_get(struct device *dev, const struct device_input *input);
bool device_input_waits(struct device *dev, const struct device_input *input);

#endif
