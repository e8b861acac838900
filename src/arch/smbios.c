/* smbios.c: what the guest is told about its maker: DMTF DSP0134 3.2, System Management BIOS.
 *
 * The structures that the specification wants and that say something about a VM: its maker, and
 * that it is one. Processors and memory are what CPUID and the memory map say.
 */
#include <stdlib.h>
#include <string.h>

#include "smbios.h"

#define MAKER "vibevmm"

/* Guests look at the year to know what to expect of a machine. It is constant, for two VMs made
 * alike to be alike. */
#define DATE "01/01/2026"

enum { TYPE_BIOS = 0, TYPE_SYSTEM = 1, TYPE_CHASSIS = 3, TYPE_BOOT = 32, TYPE_END = 127 };

/* ---- Structures: 6.1 ------------------------------------------------------------------------- */

/* One that is being made: texts are numbered from 1 and come after its fixed part. */
struct structure {
	struct blob *blob;
	size_t start;
	const char *texts[5];
	unsigned n_texts;
};

static struct structure begin(struct blob *blob, unsigned type, unsigned handle)
{
	struct structure s = { .blob = blob, .start = blob->len };

	blob_put(blob, 1, type);
	blob_put(blob, 1, 0); /* length */
	blob_put(blob, 2, handle);
	return s;
}

/* The number of a text, which is 0 for none. */
static void put_text(struct structure *s, const char *text)
{
	if (!text || !*text) {
		blob_put(s->blob, 1, 0);
		return;
	}
	s->texts[s->n_texts++] = text;
	blob_put(s->blob, 1, s->n_texts);
}

static void end(struct structure *s)
{
	blob_set(s->blob, s->start + 1, 1, s->blob->len - s->start);
	for (unsigned i = 0; i < s->n_texts; i++)
		blob_add(s->blob, s->texts[i], strlen(s->texts[i]) + 1);
	blob_zero(s->blob, s->n_texts ? 1 : 2); /* 6.1.3: two even if there is none */
}

/* 7.1 */
static void bios(struct blob *blob)
{
	struct structure s = begin(blob, TYPE_BIOS, 0);

	put_text(&s, MAKER);
	put_text(&s, VIBEVMM_VERSION);
	blob_put(blob, 2, 0); /* segment: there is no BIOS to run */
	put_text(&s, DATE);
	blob_put(blob, 1, 0);	       /* ROM size: 64 KiB, the least */
	blob_put(blob, 8, 1 << 3);     /* "characteristics are not supported" */
	blob_put(blob, 1, 1 << 0);     /* ACPI is */
	blob_put(blob, 1, 1 << 4);     /* this is a virtual machine */
	blob_put(blob, 4, UINT32_MAX); /* releases of BIOS and embedded controller: none */
	blob_put(blob, 2, 0);	       /* extended ROM size: not used */
	end(&s);
}

/* 7.2.1: the first three fields are little-endian numbers. All zeroes: none. */
static void put_uuid(struct blob *blob, const char *text)
{
	static const uint8_t place[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };
	size_t at = blob->len;

	blob_zero(blob, 16);
	for (unsigned i = 0; text && i < 16; i++) {
		char digits[3] = { 0 };

		text += *text == '-';
		memcpy(digits, text, 2);
		blob_set(blob, at + place[i], 1, strtoul(digits, NULL, 16));
		text += 2;
	}
}

/* 7.2 */
static void system_information(struct blob *blob, const struct smbios_config *config)
{
	struct structure s = begin(blob, TYPE_SYSTEM, 1);

	put_text(&s, config->vendor);
	put_text(&s, config->product);
	put_text(&s, config->version);
	put_text(&s, config->serial);
	put_uuid(blob, config->uuid);
	blob_put(blob, 1, 6); /* woken by the power switch */
	put_text(&s, NULL);   /* SKU */
	put_text(&s, NULL);   /* family */
	end(&s);
}

/* 7.4 */
static void chassis(struct blob *blob, const struct smbios_config *config)
{
	struct structure s = begin(blob, TYPE_CHASSIS, 2);

	put_text(&s, config->vendor);
	blob_put(blob, 1, 1); /* of no type that the list has */
	put_text(&s, config->version);
	put_text(&s, config->serial);
	put_text(&s, NULL);   /* asset tag */
	blob_put(blob, 1, 3); /* boot-up, power supply, thermal: safe */
	blob_put(blob, 1, 3);
	blob_put(blob, 1, 3);
	blob_put(blob, 1, 3); /* security: none */
	blob_zero(blob, 4);   /* the maker's own */
	blob_zero(blob, 2);   /* height and power cords: unknown */
	blob_zero(blob, 2);   /* elements in it: none, of no size */
	put_text(&s, NULL);   /* SKU */
	end(&s);
}

/* 7.33 */
static void boot_status(struct blob *blob)
{
	struct structure s = begin(blob, TYPE_BOOT, 3);

	blob_zero(blob, 6);
	blob_put(blob, 1, 0); /* no errors */
	end(&s);
}

static void end_of_table(struct blob *blob)
{
	struct structure s = begin(blob, TYPE_END, 4);

	end(&s);
}

/* 5.2.2: the 64-bit entry point. */
static void entry_point(struct blob *blob, uint64_t base)
{
	blob_set(blob, 0, 5, 0x5f334d535f); /* "_SM3_" */
	blob_set(blob, 6, 1, 24);	    /* length */
	blob_set(blob, 7, 1, 3);	    /* version */
	blob_set(blob, 8, 1, 2);
	blob_set(blob, 10, 1, 1); /* of this entry point */
	blob_set(blob, 12, 4, blob->len - SMBIOS_STRUCTURES);
	blob_set(blob, 16, 8, base + SMBIOS_STRUCTURES);
	blob_checksum(blob, 0, 24, 5);
}

void smbios_build(struct blob *blob, const struct smbios_config *config, uint64_t base)
{
	blob_zero(blob, SMBIOS_STRUCTURES);
	bios(blob);
	system_information(blob, config);
	chassis(blob, config);
	boot_status(blob);
	end_of_table(blob);
	entry_point(blob, base);
}
