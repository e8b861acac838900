/* dt.h: writing a device tree, on libfdt.
 *
 * "DTSpec" is the Devicetree Specification 0.4. Nodes are begun and ended, properties of a node
 * come before the nodes inside it. After the first failure nothing is added any more, and `ret`
 * says so: it is asked once, at the end.
 */
#ifndef ARCH_DT_H
#define ARCH_DT_H

#include <stddef.h>
#include <stdint.h>

/* Nodes that others refer to (DTSpec 2.3.3); those of the processors come last. */
enum {
	PHANDLE_GIC = 1,
	PHANDLE_ITS,
	PHANDLE_FRAME,
	PHANDLE_CLOCK,
	PHANDLE_GPIO,
	PHANDLE_CPU,
};

/* interrupt-controller/arm,gic.yaml, "#interrupt-cells". */
enum { IRQ_SPI, IRQ_PPI, IRQ_LEVEL_HIGH = 4 };

struct dt_writer {
	void *tree;
	int ret; /* of libfdt */
};

void dt_took(struct dt_writer *w, int ret);

void dt_begin(struct dt_writer *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void dt_end(struct dt_writer *w);

void dt_bytes(struct dt_writer *w, const char *name, const void *bytes, size_t len);
void dt_text(struct dt_writer *w, const char *name, const char *text);
void dt_texts(struct dt_writer *w, const char *name, const char *const texts[3]); /* up to NULL */
void dt_flag(struct dt_writer *w, const char *name);
void dt_cell(struct dt_writer *w, const char *name, uint32_t value);

#define DT_MAX_CELLS 64
void dt_cells(struct dt_writer *w, const char *name, const uint32_t *values, size_t n);

/* Addresses and sizes in turn; they have two cells each, here and in the root. */
void dt_reg(struct dt_writer *w, const uint64_t *values, size_t n);

void dt_sizes(struct dt_writer *w, uint32_t address_cells, uint32_t size_cells);

#endif
