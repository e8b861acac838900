/* x86_64_tables.c: where ACPI's tables and SMBIOS lie, and putting them there.
 *
 * Guests look for the RSDP at 0xe0000-0xfffff (ACPI 6.4, 5.2.5.1), and for the entry point of
 * SMBIOS at 0xf0000-0xfffff (DSP0134, 5.2.2), both at multiples of 16. Without room there ACPI goes
 * high up in RAM below 4 GiB, for guests that are told where the RSDP is; SMBIOS is left out, as
 * nobody would find it.
 *
 * The page of SMBIOS ends with what a PC's firmware has there, the code that a reset runs. Linux
 * jumps to it (its documentation of `reboot=bios`) when it resets a hardware-reduced machine that
 * has no EFI, where it doesn't trust the FADT's reset register.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vibevmm/bytes.h>

#include "acpi.h"
#include "smbios.h"
#include "x86_64_tables.h"

#define PAGE	    4096ULL
#define BIOS	    0xe0000ULL
#define BIOS_UPPER  0xf0000ULL
#define BIOS_LAST   0xfffffULL
#define LAST_32_BIT 0xffffffffULL

/* Tables as they go to guest memory. */
struct tables {
	uint64_t acpi, smbios; /* guest addresses; smbios 0: none */
	size_t acpi_len, smbios_len;
	uint8_t bytes[]; /* ACPI's, then SMBIOS's */
};

/* Both, one behind the other. */
static void build(struct blob *blob, const struct plan *plan, struct tables *tables)
{
	struct blob smbios = { 0 };

	acpi_build(blob, plan, tables->acpi);
	tables->acpi_len = blob->len;
	smbios_build(&smbios, &plan->config->smbios, tables->smbios);
	tables->smbios_len = smbios.len;
	blob->failed |= smbios.failed;
	if (!smbios.failed)
		blob_add(blob, smbios.bytes, smbios.len);
	free(smbios.bytes);
}

static bool place(struct plan *plan, struct diags *diags, struct tables *tables)
{
	const uint64_t acpi = (tables->acpi_len + PAGE - 1) & ~(PAGE - 1);
	const uint64_t smbios = (tables->smbios_len + PAGE - 1) & ~(PAGE - 1);

	/* From both ends, so that a large ACPI leaves room for SMBIOS. */
	if (!plan_tables_place(plan, NULL, "smbios", smbios, PAGE, BIOS_UPPER, BIOS_LAST, true,
			       MARK_NONE, &tables->smbios))
		tables->smbios = 0;
	return plan_tables_place(plan, NULL, "acpi", acpi, PAGE, BIOS, BIOS_LAST, false, MARK_NONE,
				 &tables->acpi) ||
	       plan_tables_place(plan, diags, "acpi", acpi, PAGE, PAGE, LAST_32_BIT, true,
				 MARK_NONE, &tables->acpi);
}

/* They are made twice: for their length, which gives them a place, and for that place. */
void x86_64_tables_plan(struct plan *plan, struct diags *diags)
{
	struct tables *tables = NULL, head = { 0 };
	struct blob blob = { 0 };

	if (!plan->config->platform.acpi)
		return;
	build(&blob, plan, &head);
	if (blob.failed || !place(plan, diags, &head))
		goto out;
	blob.len = 0;
	build(&blob, plan, &head);
	if (!blob.failed)
		tables = malloc(sizeof(*tables) + blob.len);
	if (!tables)
		goto out;
	*tables = head;
	memcpy(tables->bytes, blob.bytes, blob.len);
	plan->tables.private = tables;
	plan->tables.rsdp = tables->acpi;
out:
	if (blob.failed || (head.acpi && !tables))
		diag_error(diags, MARK_NONE, "out of memory");
	free(blob.bytes);
}

/* SDM 9.1.4: execution begins 16 bytes below the end, in real mode. */
#define RESET_VECTOR 0xffff0ULL

static int write_reset_vector(const struct plan *plan, struct memory *memory)
{
	uint8_t code[] = {
		0xba, 0,    0, /* mov $port, %dx */
		0xb0, 0,       /* mov $value, %al */
		0xee,	       /* out %al, %dx */
		0xf4,	       /* hlt */
		0xeb, 0xfd,    /* jmp to the hlt */
	};
	uint16_t port;

	if (!plan_region_at(plan, SPACE_MEM, 1U << REGION_TABLES, RESET_VECTOR) ||
	    !acpi_reset(plan, &port, &code[4]))
		return 0;
	bytes_put16(code + 1, port);
	return memory_write(memory, RESET_VECTOR, code, sizeof(code));
}

int x86_64_tables_write(const struct plan *plan, struct memory *memory, struct err *err)
{
	const struct tables *tables = plan->tables.private;
	int ret;

	if (!tables)
		return 0;
	ret = memory_write(memory, tables->acpi, tables->bytes, tables->acpi_len);
	if (!ret && tables->smbios)
		ret = memory_write(memory, tables->smbios, tables->bytes + tables->acpi_len,
				   tables->smbios_len);
	if (!ret)
		ret = write_reset_vector(plan, memory);
	return ret ? err_set(err, -ret, STATUS_BUG, "ACPI's tables lie outside of guest memory")
		   : 0;
}

int x86_64_tables_each(const struct plan *plan, plan_table_fn fn, void *arg)
{
	const struct tables *tables = plan->tables.private;
	struct blob smbios = { 0 };
	size_t at = ACPI_FIRST_TABLE;
	int ret;

	if (!tables)
		return 0;
	ret = fn(arg, "rsdp.aml", tables->bytes, 36);
	while (!ret && at < tables->acpi_len) {
		const uint8_t *table = tables->bytes + at;
		char name[] = "0000.aml";

		for (unsigned i = 0; i < 4; i++)
			name[i] = (char)tolower(table[i]);
		ret = fn(arg, name, table, bytes_get32(table + 4));
		at += (bytes_get32(table + 4) + ACPI_ALIGN - 1) & ~(ACPI_ALIGN - 1);
	}
	if (ret || !tables->smbios)
		return ret;
	/* As if at address 0: what `dmidecode --from-dump` reads. */
	smbios_build(&smbios, &plan->config->smbios, 0);
	ret = smbios.failed ? -ENOMEM : fn(arg, "smbios.bin", smbios.bytes, smbios.len);
	free(smbios.bytes);
	return ret;
}
