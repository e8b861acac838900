/* aml.h: writing ACPI Machine Language: ACPI 6.4, 20.2, and resource descriptors, 6.4.
 *
 * What encloses others is opened and closed. A name is four characters, A-Z, 0-9 and '_'.
 */
#ifndef ARCH_AML_H
#define ARCH_AML_H

#include "blob.h"

/* Each gives what aml_close wants; the innermost is closed first. */
size_t aml_scope(struct blob *blob, const char *path); /* "\\_SB_" */
size_t aml_device(struct blob *blob, const char *name);
size_t aml_method(struct blob *blob, const char *name, unsigned args);
size_t aml_if_arg0_is(struct blob *blob, uint64_t value);
size_t aml_package(struct blob *blob, unsigned elements);
size_t aml_resources(struct blob *blob); /* a buffer of resource descriptors */
void aml_close(struct blob *blob, size_t at);
void aml_close_resources(struct blob *blob, size_t at);

void aml_name(struct blob *blob, const char *name); /* and its value follows */
void aml_integer(struct blob *blob, uint64_t value);
void aml_hid(struct blob *blob, const char *hid); /* "PNP0501", or "ACPI0013" */
void aml_notify(struct blob *blob, const char *name, uint64_t value);

void aml_ports(struct blob *blob, uint64_t start, uint64_t size);
void aml_memory(struct blob *blob, uint64_t start, uint64_t size);
void aml_interrupt(struct blob *blob, uint64_t line, bool level); /* active high, not shared */

/* What a bridge hands on to what is behind it: ports, memory, and one bus number. */
void aml_port_window(struct blob *blob, uint64_t start, uint64_t size);
void aml_window(struct blob *blob, uint64_t start, uint64_t size);
void aml_bus(struct blob *blob, unsigned number);

#endif
