/* rows.h: what the rows say, for people to read: shared by `devices`, `keys` and the manual.
 * Private to src/cli.
 */
#ifndef CLI_ROWS_H
#define CLI_ROWS_H

#include <stdio.h>

#include <vibevmm/registry.h>

/* "x86_64, arm64" */
const char *rows_arches(unsigned arches, char *buf, size_t len);
#define ROWS_ARCHES_MAX 64

/* The device row, or the boot format's, that a type belongs to; NULL if there is none. */
const struct device_row *rows_device(const struct registry *registry,
				     const struct config_type *type);
const struct boot_row *rows_boot(const struct registry *registry, const struct config_type *type);

/* What follows an option's name: values, default, whether it is required, where it exists. */
void rows_print_values(FILE *out, const struct option *option);

/* Every option of a type, with its values and its doc. */
void rows_print_options(FILE *out, const struct config_type *type, int indent);

/* A claim without its name, up to the end of the line: "8 I/O ports; prefers 0x3f8, 0x2f8". */
void rows_print_claim(FILE *out, const struct config_type *type, const struct claim *claim);

/* The option and its value with which a type has that claim, "transport: pci"; NULL: any. */
const char *rows_when(const struct config_type *type, const struct claim *claim, char *buf,
		      size_t len);
#define ROWS_WHEN_MAX 64

/* Capabilities as "interrupt lines, MSI". */
void rows_print_caps(FILE *out, unsigned caps);

/* How an entry of a type may look in a file, below the key of `option`, each line behind indent
 * blanks. Made of the row's defaults, of the places it prefers, and of what it requires. */
void rows_print_example(FILE *out, const struct registry *registry, const struct option *option,
			const struct config_type *type, int indent);

/* All about a type. */
void rows_print_type(FILE *out, const struct registry *registry, const struct option *option,
		     const struct config_type *type);

#endif
