/* test_rows.c: the contract that every row of the registry keeps (DESIGN section 3). */
#include <errno.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <vibevmm/bytes.h>
#include <vibevmm/machine.h>
#include <vibevmm/pci.h>

#include "unit/fake_host.h"

/* ---- Failing the Nth allocation: the linker sends the program's allocations here ---------- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);

static long allocations_left = -1; /* negative: no limit */

static bool out_of_memory(void)
{
	if (allocations_left < 0)
		return false;
	if (allocations_left == 0)
		return true;
	allocations_left--;
	return false;
}

void *__wrap_malloc(size_t size)
{
	return out_of_memory() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return out_of_memory() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	return out_of_memory() ? NULL : __real_realloc(p, size);
}

/* ---- Options ------------------------------------------------------------------------------ */

static size_t number_width(const struct option *o)
{
	switch (o->kind) {
	case OPTION_BOOL:
		return sizeof(bool);
	case OPTION_IRQ:
	case OPTION_ENUM:
		return 4;
	case OPTION_SIZE:
	case OPTION_ADDR:
	case OPTION_DURATION:
		return 8;
	case OPTION_STRING:
	case OPTION_PATH:
	case OPTION_CHOICE:
		return sizeof(void *);
	default:
		return o->size;
	}
}

static void check_default(const char *type, const struct option *o)
{
	uint64_t value;
	const char *why;

	switch (o->kind) {
	case OPTION_UINT:
	case OPTION_SIZE:
	case OPTION_ADDR:
	case OPTION_IRQ:
	case OPTION_DURATION:
		if (config_number(o->kind, o->def, &value, &why))
			fail_msg("%s.%s: default '%s': %s", type, o->key, o->def, why);
		assert_true(value >= o->min);
		assert_true(!o->max || value <= o->max);
		assert_true(!o->align || value % o->align == 0);
		break;
	case OPTION_BOOL:
		assert_true(!strcmp(o->def, "true") || !strcmp(o->def, "false"));
		break;
	case OPTION_ENUM:
		for (const char *const *word = o->words;; word++) {
			if (!*word)
				fail_msg("%s.%s: default '%s' is no word", type, o->key, o->def);
			if (!strcmp(*word, o->def))
				break;
		}
		break;
	default:
		break;
	}
}

static void check_options(const struct config_type *type)
{
	assert_non_null(type->name);
	assert_true(type->doc && strlen(type->doc) > 10);
	if (type->doc[strlen(type->doc) - 1] == '.')
		fail_msg("%s: doc ends with a full stop", type->name);
	assert_true(type->size >= 1);
	for (const struct option *o = type->options; o && o->key; o++) {
		if (!o->doc || strlen(o->doc) < 5 || o->doc[strlen(o->doc) - 1] == '.')
			fail_msg("%s.%s: doc", type->name, o->key);
		if (o->offset + o->size > type->size)
			fail_msg("%s.%s lies outside of its struct", type->name, o->key);
		if (o->size != number_width(o))
			fail_msg("%s.%s: member of %zu bytes", type->name, o->key, o->size);
		if (o->kind == OPTION_ENUM)
			assert_non_null(o->words);
		if (o->required && o->def)
			fail_msg("%s.%s is required and has a default", type->name, o->key);
		if (o->def)
			check_default(type->name, o);
		for (const struct option *other = type->options; other != o; other++) {
			/* A size or a whole list: told apart by the value's shape. */
			if (!strcmp(other->key, o->key) &&
			    (other->kind == OPTION_CHOICES) == (o->kind == OPTION_CHOICES))
				fail_msg("%s.%s stands twice", type->name, o->key);
			if (other->offset < o->offset + o->size &&
			    o->offset < other->offset + other->size)
				fail_msg("%s: %s and %s share a member", type->name, other->key,
					 o->key);
		}
		if (o->type)
			check_options(o->type);
	}
}

static void every_option_is_documented_unique_and_inside_its_struct(void **state)
{
	const struct registry *registry = machine_registry();
	const struct config_type *const *kinds;
	size_t n;

	(void)state;
	check_options(config_vm_type());
	kinds = config_memory_types(&n);
	for (size_t i = 0; i < n; i++)
		check_options(kinds[i]);
	for (size_t i = 0; i < registry->n_devices; i++)
		check_options(&registry->devices[i]->type);
	for (size_t i = 0; i < registry->n_boots; i++)
		check_options(&registry->boots[i]->type);
}

static void names_are_unique(void **state)
{
	const struct registry *registry = machine_registry();

	(void)state;
	for (size_t i = 0; i < registry->n_devices; i++) {
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(registry->devices[i]->type.name,
						registry->devices[j]->type.name);
	}
	for (size_t i = 0; i < registry->n_boots; i++) {
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(registry->boots[i]->type.name,
						registry->boots[j]->type.name);
	}
}

static void every_device_row_is_complete(void **state)
{
	const struct registry *registry = machine_registry();

	(void)state;
	for (size_t i = 0; i < registry->n_devices; i++) {
		const struct device_row *row = registry->devices[i];
		const struct option *id = registry_option(&row->type, "id");

		assert_non_null(id);
		assert_int_equal(id->kind, OPTION_STRING);
		assert_true(row->arches && !(row->arches & ~(unsigned)ARCH_ANY));
		assert_non_null(row->create);
		assert_non_null(row->destroy);
		assert_non_null(row->reset);
		assert_non_null(row->read);
		assert_non_null(row->write);
	}
	for (size_t i = 0; i < registry->n_boots; i++) {
		assert_true(registry->boots[i]->arches != 0);
		assert_non_null(registry->boots[i]->plan);
		assert_non_null(registry->boots[i]->load);
	}
}

/* ---- Claims ------------------------------------------------------------------------------- */

static enum layout_kind kind_of(const struct claim *c)
{
	switch (c->space) {
	case SPACE_PIO:
		return c->pool == POOL_SPACE ? LAYOUT_PIO : LAYOUT_PCI_PORTS;
	case SPACE_PORTS_BAR:
		return LAYOUT_PCI_PORTS;
	case SPACE_IRQ:
		return LAYOUT_IRQ;
	case SPACE_BAR:
		return LAYOUT_PCI;
	default:
		return c->pool == POOL_SPACE	    ? LAYOUT_MMIO
		       : c->pool == POOL_PCI_CONFIG ? LAYOUT_PCI_CONFIG
						    : LAYOUT_PCI;
	}
}

static void check_claim_fits(const struct device_row *row, const struct claim *c, enum arch arch)
{
	const struct layout_row *layout = arch_find(arch)->layout;

	if (c->space == SPACE_INPUT || (c->arches && !(c->arches & (unsigned)arch)))
		return;
	if (c->space == SPACE_PCI) {
		assert_int_equal(c->size, 1);
		return;
	}
	for (; layout->name; layout++) {
		if (layout->kind == kind_of(c) && (!layout->size || layout->size >= c->size))
			return;
	}
	fail_msg("%s.%s fits nowhere in %s's layout", row->type.name, c->name, hv_arch_name(arch));
}

static void every_program_says_who_needs_it_and_when(void **state)
{
	const struct registry *registry = machine_registry();
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < registry->n_devices; i++) {
		const struct device_row *row = registry->devices[i];

		for (const struct device_program *p = row->programs; p && p->name; p++, n++) {
			const struct option *when =
				p->when ? registry_option(&row->type, p->when) : NULL;

			assert_true(p->use && *p->use && p->package && *p->package);
			assert_int_equal(!when, !p->when);
			assert_true(!when || when->kind == OPTION_ENUM ||
				    when->kind == OPTION_BOOL);
		}
	}
	assert_true(n > 0);
}

static void every_claim_fits_the_layouts_and_names_real_options(void **state)
{
	const struct registry *registry = machine_registry();

	(void)state;
	for (size_t i = 0; i < registry->n_devices; i++) {
		const struct device_row *row = registry->devices[i];
		unsigned n = 0;

		for (const struct claim *c = row->claims; c && c->name; c++, n++) {
			const char *const named[] = { c->fix, c->only_if, c->unless, c->when };
			bool whole = c->pool == POOL_PCI_WINDOW || c->pool == POOL_PCI_WINDOW64 ||
				     c->pool == POOL_PCI_PORTS;

			if (whole)
				assert_true(!c->size && !c->align && !c->fix);
			else if (!c->align && c->space != SPACE_IRQ)
				assert_true(bytes_is_power_of_2(c->size));
			if (c->space == SPACE_BAR)
				assert_true(c->size >= 16 && !c->align && !c->fix);
			if (c->space == SPACE_PORTS_BAR) /* PCI 3.0, 6.2.5.1 */
				assert_true(c->size >= 4 && c->size <= 256 && !c->align && !c->fix);
			if (c->when)
				assert_int_equal(registry_option(&row->type, c->when)->kind,
						 OPTION_ENUM);
			if (c->sized_by) {
				const struct option *o = registry_option(&row->type, c->sized_by);
				uint64_t size;
				const char *why;

				assert_true(o && o->kind == OPTION_SIZE && o->def);
				assert_int_equal(config_number(o->kind, o->def, &size, &why), 0);
				assert_int_equal(size, c->size);
			}
			for (size_t k = 0; k < ARRAY_SIZE(named); k++) {
				if (named[k])
					assert_non_null(registry_option(&row->type, named[k]));
			}
			for (size_t k = 0; k < c->n_prefer; k++)
				assert_true(c->prefer[k] % (c->align ? c->align : c->size) == 0);
			for (unsigned bit = 1; bit <= ARCH_ANY; bit <<= 1) {
				if (row->arches & bit)
					check_claim_fits(row, c, (enum arch)bit);
			}
		}
		assert_true(n <= PLAN_MAX_CLAIMS);
	}
}

/* ---- Creation ----------------------------------------------------------------------------- */

/* A folder with an image in it. */
static char scratch[] = "/tmp/test_rows.XXXXXX";

static int make_scratch(void **state)
{
	char path[64];
	FILE *image;

	(void)state;
	if (!mkdtemp(scratch))
		return -1;
	snprintf(path, sizeof(path), "%s/image", scratch);
	image = fopen(path, "w");
	return !image || ftruncate(fileno(image), 4096) || fclose(image);
}

static int remove_scratch(void **state)
{
	char path[64];

	(void)state;
	snprintf(path, sizeof(path), "%s/image", scratch);
	return unlink(path) || rmdir(scratch);
}

/* What a device can't do without, with the scratch folder for %s. */
static const struct {
	const char *type, *options;
} required[] = {
	{ "virtio-blk", "{path: %s/image}" },
	{ "virtio-net", "{listen: %s/net}" },
	{ "virtio-vsock", "{cid: 3, socket: %s/vsock}" },
	{ "virtio-fs", NULL }, /* begins with virtiofsd: its own tests run that */
	{ "vfio-pci", NULL },  /* takes a device of the host */
};

static bool options_of(const struct device_row *row, char *buf, size_t len)
{
	snprintf(buf, len, "{}");
	for (size_t i = 0; i < ARRAY_SIZE(required); i++) {
		if (strcmp(required[i].type, row->type.name) != 0)
			continue;
		if (!required[i].options)
			return false;
		snprintf(buf, len, required[i].options, scratch);
	}
	return true;
}

static struct config *load(const struct device_row *row, const char *options, struct diags *diags)
{
	enum arch arch = row->arches & ARCH_X86_64 ? ARCH_X86_64 : ARCH_ARM64;
	char text[512];

	snprintf(text, sizeof(text),
		 "arch: %s\nmemory: [ram: {at: 0, size: 64M}]\nboot:\n  raw: {file: "
		 "/proc/self/exe}\n%sdevices:\n  - %s: %s\n",
		 hv_arch_name(arch), arch == ARCH_ARM64 ? "platform: {gic: v2}\n" : "",
		 row->type.name, options);
	return config_load_text("test.yaml", text, strlen(text), machine_registry(), NULL, diags);
}

/* create with only n allocations left; true if it succeeded. */
static bool create_with(const struct plan_device *plan, long n)
{
	struct fake_host fake;
	struct err err = { 0 };
	struct device dev;
	int ret;

	fake_host_init(&fake);
	fake.host.pci = pci_bus_new();
	fake.host.memory = memory_new();
	allocations_left = n;
	ret = device_create(&dev, plan, &fake.host, &err);
	allocations_left = -1;
	if (!ret)
		device_destroy(&dev);
	else if (!err.text[0])
		fail_msg("%s: create failed without a word", plan->row->type.name);
	pci_bus_free(fake.host.pci);
	memory_free(fake.host.memory);
	fake_host_free(&fake);
	return !ret;
}

static void every_device_is_created_and_fails_cleanly_at_every_allocation(void **state)
{
	long total = 0;
	const struct registry *registry = machine_registry();

	(void)state;
	for (size_t i = 0; i < registry->n_devices; i++) {
		struct diags *diags;
		struct config *config;
		const struct vm_config *vm;
		struct plan *plan;
		char options[128];
		long n = 0;

		if (!options_of(registry->devices[i], options, sizeof(options)))
			continue;
		diags = diags_new();
		config = load(registry->devices[i], options, diags);
		vm = config_vm(config);
		plan = plan_make(vm, registry, arch_find(vm->arch), NULL, NULL, diags);
		diags_print(diags, stderr, DIAG_TEXT, false);
		assert_int_equal(diags_errors(diags), 0);
		assert_ptr_equal(plan->devices[0].row, registry->devices[i]);
		while (!create_with(&plan->devices[0], n))
			assert_true(++n < 100);
		total += n;
		plan_free(plan);
		config_free(config);
		diags_free(diags);
	}
	assert_true(total > 0); /* the linker does send allocations to us */
}

/* ---- Canned configs ----------------------------------------------------------------------- */

static bool config_uses(const char *path, const char *device)
{
	struct diags *diags = diags_new();
	struct config *config;
	struct plan *plan;
	bool found = false;

	machine_plan(&(struct config_request){ .path = path }, false, diags, &config, &plan);
	if (diags_errors(diags)) {
		diags_print(diags, stderr, DIAG_TEXT, false);
		fail_msg("%s is invalid", path);
	}
	for (size_t i = 0; i < plan->n_devices; i++)
		found |= !strcmp(plan->devices[i].row->type.name, device);
	plan_free(plan);
	config_free(config);
	diags_free(diags);
	return found;
}

static void every_device_has_a_valid_canned_config(void **state)
{
	const struct registry *registry = machine_registry();
	glob_t files;

	(void)state;
	assert_int_equal(glob("configs/*.yaml", 0, NULL, &files), 0);
	for (size_t i = 0; i < registry->n_devices; i++) {
		const char *name = registry->devices[i]->type.name;
		bool found = false;

		for (size_t k = 0; k < files.gl_pathc && !found; k++)
			found = config_uses(files.gl_pathv[k], name);
		if (!found)
			fail_msg("no canned config uses %s", name);
	}
	globfree(&files);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_option_is_documented_unique_and_inside_its_struct),
		cmocka_unit_test(names_are_unique),
		cmocka_unit_test(every_device_row_is_complete),
		cmocka_unit_test(every_program_says_who_needs_it_and_when),
		cmocka_unit_test(every_claim_fits_the_layouts_and_names_real_options),
		cmocka_unit_test(every_device_is_created_and_fails_cleanly_at_every_allocation),
		cmocka_unit_test(every_device_has_a_valid_canned_config),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
