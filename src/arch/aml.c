/* aml.c: writing ACPI Machine Language. Sections are those of ACPI 6.4. */
#include <ctype.h>
#include <string.h>

#include "aml.h"

/* 20.3, table 20.3 */
#define OP_NAME	   0x08
#define OP_BYTE	   0x0a
#define OP_WORD	   0x0b
#define OP_DWORD   0x0c
#define OP_STRING  0x0d
#define OP_QWORD   0x0e
#define OP_SCOPE   0x10
#define OP_BUFFER  0x11
#define OP_PACKAGE 0x12
#define OP_METHOD  0x14
#define OP_EXT	   0x5b
#define EXT_DEVICE 0x82
#define OP_ARG0	   0x68
#define OP_NOTIFY  0x86
#define OP_EQUAL   0x93
#define OP_IF	   0xa0

#define NAME_LEN 4

static size_t open_named(struct blob *blob, unsigned op, const char *name)
{
	size_t at;

	if (op > 0xff)
		blob_put(blob, 1, op >> 8);
	blob_put(blob, 1, op & 0xff);
	at = blob->len;
	blob_add(blob, name, strlen(name));
	return at;
}

size_t aml_scope(struct blob *blob, const char *path)
{
	return open_named(blob, OP_SCOPE, path);
}

size_t aml_device(struct blob *blob, const char *name)
{
	return open_named(blob, OP_EXT << 8 | EXT_DEVICE, name);
}

size_t aml_method(struct blob *blob, const char *name, unsigned args)
{
	size_t at = open_named(blob, OP_METHOD, name);

	blob_put(blob, 1, args);
	return at;
}

size_t aml_if_arg0_is(struct blob *blob, uint64_t value)
{
	size_t at = open_named(blob, OP_IF, "");

	blob_put(blob, 1, OP_EQUAL);
	blob_put(blob, 1, OP_ARG0);
	aml_integer(blob, value);
	return at;
}

size_t aml_package(struct blob *blob, unsigned elements)
{
	size_t at = open_named(blob, OP_PACKAGE, "");

	blob_put(blob, 1, elements);
	return at;
}

/* The length comes before what it counts, and its own size depends on it: so it is put in at the
 * end. 20.2.4: it counts itself; six bits in the first byte, or four and the bytes that follow. */
void aml_close(struct blob *blob, size_t at)
{
	size_t len = blob->len - at, n = 1;

	while (len + n >= (n == 1 ? 1U << 6 : 1U << (8 * n - 4)))
		n++;
	len += n;
	blob_insert(blob, at, n);
	if (n == 1) {
		blob_set(blob, at, 1, len);
		return;
	}
	blob_set(blob, at, 1, (n - 1) << 6 | (len & 0xf));
	blob_set(blob, at + 1, n - 1, len >> 4);
}

void aml_name(struct blob *blob, const char *name)
{
	blob_put(blob, 1, OP_NAME);
	blob_add(blob, name, NAME_LEN);
}

void aml_integer(struct blob *blob, uint64_t value)
{
	static const struct {
		uint8_t op, size;
	} forms[] = { { OP_BYTE, 1 }, { OP_WORD, 2 }, { OP_DWORD, 4 }, { OP_QWORD, 8 } };
	size_t i = 0;

	if (value <= 1) { /* ZeroOp and OneOp are these numbers */
		blob_put(blob, 1, value);
		return;
	}
	while (i < 3 && value >> (8 * forms[i].size))
		i++;
	blob_put(blob, 1, forms[i].op);
	blob_put(blob, forms[i].size, value);
}

/* 6.1.5: three letters of five bits and four digits make up 32 bits, stored high byte first; any
 * other identifier is a string. */
static bool eisa_id(const char *hid, uint8_t id[4])
{
	unsigned vendor = 0, product = 0;

	if (strlen(hid) != 7)
		return false;
	for (unsigned i = 0; i < 7; i++) {
		char c = hid[i];

		if (i < 3 && c >= 'A' && c <= 'Z')
			vendor = vendor << 5 | (unsigned)(c - '@');
		else if (i >= 3 && isdigit((unsigned char)c))
			product = product << 4 | (unsigned)(c - '0');
		else if (i >= 3 && c >= 'A' && c <= 'F')
			product = product << 4 | (unsigned)(c - 'A' + 10);
		else
			return false;
	}
	id[0] = (uint8_t)(vendor >> 8);
	id[1] = (uint8_t)vendor;
	id[2] = (uint8_t)(product >> 8);
	id[3] = (uint8_t)product;
	return true;
}

void aml_hid(struct blob *blob, const char *hid)
{
	uint8_t id[4];

	if (eisa_id(hid, id)) {
		blob_put(blob, 1, OP_DWORD);
		blob_add(blob, id, sizeof(id));
	} else {
		blob_put(blob, 1, OP_STRING);
		blob_add(blob, hid, strlen(hid) + 1);
	}
}

void aml_notify(struct blob *blob, const char *name, uint64_t value)
{
	blob_put(blob, 1, OP_NOTIFY);
	blob_add(blob, name, NAME_LEN);
	aml_integer(blob, value);
}

/* ---- Resource descriptors -------------------------------------------------------------------- */

#define TAG_PORTS     0x47 /* 6.4.2.5 */
#define TAG_END	      0x79 /* 6.4.2.9 */
#define TAG_MEMORY32  0x86 /* 6.4.3.4 */
#define TAG_DWORD     0x87 /* 6.4.3.5.2 */
#define TAG_WORD      0x88 /* 6.4.3.5.3 */
#define TAG_INTERRUPT 0x89 /* 6.4.3.6 */
#define TAG_QWORD     0x8a /* 6.4.3.5.1 */

#define DECODE_16    0x01
#define WRITABLE     0x01
#define SPACE_MEMORY 0
#define SPACE_PORTS  1
#define SPACE_BUSES  2
#define PRODUCED     0x0c /* both ends are fixed, and it is for those behind; or else ... */
#define CONSUMED     0x0d /* ... the device's own */
#define ALL_PORTS    0x03 /* 6.4.3.5.5: ISA and others */
#define IRQ_LEVEL    0x01 /* consumed; level-triggered; active high; exclusive */
#define IRQ_EDGE     0x03

/* The buffer's length, a word, goes where the two bytes are. */
size_t aml_resources(struct blob *blob)
{
	size_t at = open_named(blob, OP_BUFFER, "");

	blob_put(blob, 1, OP_WORD);
	blob_zero(blob, 2);
	return at;
}

void aml_close_resources(struct blob *blob, size_t at)
{
	blob_put(blob, 1, TAG_END);
	blob_put(blob, 1, 0); /* no checksum */
	blob_set(blob, at + 1, 2, blob->len - at - 3);
	aml_close(blob, at);
}

static void address_space(struct blob *blob, unsigned tag, size_t width, unsigned space,
			  unsigned usage, unsigned flags, uint64_t start, uint64_t size)
{
	blob_put(blob, 1, tag);
	blob_put(blob, 2, 3 + 5 * width);
	blob_put(blob, 1, space);
	blob_put(blob, 1, usage);
	blob_put(blob, 1, flags);
	blob_put(blob, width, 0); /* granularity */
	blob_put(blob, width, start);
	blob_put(blob, width, start + (size - 1));
	blob_put(blob, width, 0); /* translation */
	blob_put(blob, width, size);
}

void aml_ports(struct blob *blob, uint64_t start, uint64_t size)
{
	if (size > 0xff) {
		address_space(blob, TAG_DWORD, 4, SPACE_PORTS, CONSUMED, ALL_PORTS, start, size);
		return;
	}
	blob_put(blob, 1, TAG_PORTS);
	blob_put(blob, 1, DECODE_16);
	blob_put(blob, 2, start);
	blob_put(blob, 2, start);
	blob_put(blob, 1, 1); /* alignment */
	blob_put(blob, 1, size);
}

void aml_memory(struct blob *blob, uint64_t start, uint64_t size)
{
	if (size > UINT32_MAX || start + (size - 1) > UINT32_MAX) {
		address_space(blob, TAG_QWORD, 8, SPACE_MEMORY, CONSUMED, WRITABLE, start, size);
		return;
	}
	blob_put(blob, 1, TAG_MEMORY32);
	blob_put(blob, 2, 9);
	blob_put(blob, 1, WRITABLE);
	blob_put(blob, 4, start);
	blob_put(blob, 4, size);
}

void aml_port_window(struct blob *blob, uint64_t start, uint64_t size)
{
	address_space(blob, TAG_WORD, 2, SPACE_PORTS, PRODUCED, ALL_PORTS, start, size);
}

void aml_window(struct blob *blob, uint64_t start, uint64_t size)
{
	bool high = start + (size - 1) > UINT32_MAX;

	address_space(blob, high ? TAG_QWORD : TAG_DWORD, high ? 8 : 4, SPACE_MEMORY, PRODUCED,
		      WRITABLE, start, size);
}

void aml_bus(struct blob *blob, unsigned number)
{
	address_space(blob, TAG_WORD, 2, SPACE_BUSES, PRODUCED, 0, number, 1);
}

void aml_interrupt(struct blob *blob, uint64_t line, bool level)
{
	blob_put(blob, 1, TAG_INTERRUPT);
	blob_put(blob, 2, 6);
	blob_put(blob, 1, level ? IRQ_LEVEL : IRQ_EDGE);
	blob_put(blob, 1, 1); /* one of them */
	blob_put(blob, 4, line);
}
