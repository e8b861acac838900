/* load_helpers.h: a small registry of our own, and loading a text with what it says. */
#ifndef LOAD_HELPERS_H
#define LOAD_HELPERS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <vibevmm/bytes.h>
#include <vibevmm/config.h>
#include <vibevmm/registry.h>

struct inner {
	uint64_t within;
	bool loud;
};

/* An option of each kind that a device may have. */
struct gadget {
	char *id;
	bool flag;
	uint8_t tiny;
	uint16_t small;
	uint32_t count;
	uint64_t wide;
	uint64_t size, at;
	uint32_t irq;
	uint64_t time;
	char *path;
	uint32_t word;
	struct inner inner;
	uint32_t elsewhere;
};

static const char *const gadget_words[] = { "zero", "one", "two", NULL };

static const struct option inner_options[] = {
	OPTION(struct inner, within, OPTION_DURATION, .def = "1500ms", .doc = "Within"),
	OPTION(struct inner, loud, OPTION_BOOL, .def = "yes", .doc = "Loud"),
	{ 0 },
};
static const struct config_type inner_type = { "inner", "Inner", inner_options,
					       sizeof(struct inner) };

static const struct option gadget_options[] = {
	OPTION(struct gadget, id, OPTION_STRING, .min = 1, .max = 8, .doc = "Id"),
	OPTION(struct gadget, flag, OPTION_BOOL, .def = "off", .doc = "Flag"),
	OPTION(struct gadget, tiny, OPTION_UINT, .doc = "Tiny"),
	OPTION(struct gadget, small, OPTION_UINT, .doc = "Small"),
	OPTION(struct gadget, count, OPTION_UINT, .def = "7", .min = 2, .max = 10, .doc = "Count"),
	OPTION(struct gadget, wide, OPTION_UINT, .doc = "Wide"),
	OPTION(struct gadget, size, OPTION_SIZE, .def = "64K", .min = 4096, .align = 4096,
	       .doc = "Size"),
	OPTION(struct gadget, at, OPTION_ADDR, .align = 4096, .doc = "At"),
	OPTION(struct gadget, irq, OPTION_IRQ, .def = "none", .max = 15, .doc = "Irq"),
	OPTION(struct gadget, time, OPTION_DURATION, .def = "20s", .doc = "Time"),
	OPTION(struct gadget, path, OPTION_PATH, .doc = "Path"),
	OPTION(struct gadget, word, OPTION_ENUM, .words = gadget_words, .def = "one",
	       .doc = "Word"),
	OPTION(struct gadget, inner, OPTION_MAP, .type = &inner_type, .doc = "Inner"),
	OPTION(struct gadget, elsewhere, OPTION_UINT, .arches = ARCH_ARM64, .def = "5",
	       .doc = "On arm64 only"),
	{ 0 },
};

struct disk {
	char *file;
};
static const struct option disk_options[] = {
	OPTION(struct disk, file, OPTION_PATH, .required = true, .doc = "File"),
	{ 0 },
};

static const struct device_row gadget_row = {
	.type = { "gadget", "A gadget", gadget_options, sizeof(struct gadget) },
	.arches = ARCH_ANY,
};
static const struct device_row disk_row = {
	.type = { "disk", "A disk", disk_options, sizeof(struct disk) },
	.arches = ARCH_ANY,
};
static const struct device_row plain_row = {
	.type = { "plain", "Without options", NULL, 1 },
	.arches = ARCH_ANY,
};
static const struct boot_row image_row = {
	.type = { "image", "An image", disk_options, sizeof(struct disk) },
	.arches = ARCH_ANY,
};

static const struct device_row *const test_devices[] = { &gadget_row, &disk_row, &plain_row };
static const struct boot_row *const test_boots[] = { &image_row };
static const struct registry test_registry = { test_devices, ARRAY_SIZE(test_devices), test_boots,
					       ARRAY_SIZE(test_boots) };

struct loaded {
	struct config *config;
	const struct vm_config *vm; /* NULL if nothing was loaded */
	size_t errors;
	char *said; /* the diagnostics */
	struct diags *diags;
};

/* noinline: else gcc 12 takes the stream, closed here, for a pointer to `text` that lives on. */
__attribute__((noinline, unused)) static char *said(const struct diags *diags,
						    enum diag_format format, bool colour)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	diags_print(diags, out, format, colour);
	fclose(out);
	return text;
}

static inline struct loaded load_bytes(const char *name, const char *text, size_t len,
				       const struct config_settings *settings)
{
	struct loaded l = { .diags = diags_new() };

	l.config = config_load_text(name, text, len, &test_registry, settings, l.diags);
	l.vm = l.config ? config_vm(l.config) : NULL;
	l.errors = diags_errors(l.diags);
	l.said = said(l.diags, DIAG_TEXT, false);
	return l;
}

/* Adds the boot format that every config needs. */
static inline struct loaded load(const char *text)
{
	static const char boot[] = "arch: x86_64\nboot: {image: {file: i}}\n";
	size_t len = strlen(boot) + strlen(text);
	char *whole = malloc(len + 1);
	struct loaded l;

	assert_non_null(whole);
	sprintf(whole, "%s%s", boot, text);
	l = load_bytes("vm.yaml", whole, len, NULL);
	free(whole);
	return l;
}

static inline void unload(struct loaded *l)
{
	config_free(l->config);
	diags_free(l->diags);
	free(l->said);
}

#define assert_said(l, text)                                                                       \
	do {                                                                                       \
		if (!strstr((l).said, text))                                                       \
			fail_msg("missing: %s\nin: %s", text, (l).said);                           \
	} while (0)

#define assert_silent(l)                                                                           \
	do {                                                                                       \
		if ((l).errors || (l).said[0])                                                     \
			fail_msg("said: %s", (l).said);                                            \
	} while (0)

#endif
