/* dt.c: writing a device tree, on libfdt. */
#include <assert.h>
#include <libfdt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "dt.h"

void dt_took(struct dt_writer *w, int ret)
{
	if (!w->ret)
		w->ret = ret;
}

void dt_begin(struct dt_writer *w, const char *fmt, ...)
{
	char name[64];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	dt_took(w, w->ret ? w->ret : fdt_begin_node(w->tree, name));
}

void dt_end(struct dt_writer *w)
{
	dt_took(w, w->ret ? w->ret : fdt_end_node(w->tree));
}

void dt_bytes(struct dt_writer *w, const char *name, const void *bytes, size_t len)
{
	dt_took(w, w->ret ? w->ret : fdt_property(w->tree, name, bytes, (int)len));
}

void dt_text(struct dt_writer *w, const char *name, const char *text)
{
	dt_bytes(w, name, text, strlen(text) + 1);
}

void dt_flag(struct dt_writer *w, const char *name)
{
	dt_bytes(w, name, NULL, 0);
}

void dt_cell(struct dt_writer *w, const char *name, uint32_t value)
{
	dt_took(w, w->ret ? w->ret : fdt_property_u32(w->tree, name, value));
}

void dt_cells(struct dt_writer *w, const char *name, const uint32_t *values, size_t n)
{
	fdt32_t cells[DT_MAX_CELLS];

	assert(n <= DT_MAX_CELLS);
	for (size_t i = 0; i < n; i++)
		cells[i] = cpu_to_fdt32(values[i]);
	dt_bytes(w, name, cells, n * sizeof(*cells));
}

void dt_reg(struct dt_writer *w, const uint64_t *values, size_t n)
{
	fdt64_t pairs[DT_MAX_CELLS];

	assert(n <= DT_MAX_CELLS);
	for (size_t i = 0; i < n; i++)
		pairs[i] = cpu_to_fdt64(values[i]);
	dt_bytes(w, "reg", pairs, n * sizeof(*pairs));
}

void dt_sizes(struct dt_writer *w, uint32_t address_cells, uint32_t size_cells)
{
	dt_cell(w, "#address-cells", address_cells);
	dt_cell(w, "#size-cells", size_cells);
}

/* A list of strings: up to three, each with its NUL. */
void dt_texts(struct dt_writer *w, const char *name, const char *const texts[3])
{
	char list[128];
	size_t len = 0;

	for (size_t i = 0; i < 3 && texts[i]; i++) {
		size_t size = strlen(texts[i]) + 1;

		if (size > sizeof(list) - len)
			break;
		memcpy(list + len, texts[i], size);
		len += size;
	}
	dt_bytes(w, name, list, len);
}
