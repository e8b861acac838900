/* linux.c: boot format `linux`: a Linux kernel with an initial RAM disk and a command line. */
#include <stdlib.h>
#include <string.h>

#include <vibevmm/boot.h>
#include <vibevmm/bytes.h>

#include "identify.h"
#include "linux.h"

struct linux_config {
	char *kernel;
	char *initrd;
	char *cmdline;
	uint32_t unpack;
	char *dtb;
};

enum { UNPACK_AUTO, UNPACK_NEVER };

static const char *const unpack_words[] = {
	[UNPACK_AUTO] = "auto",
	[UNPACK_NEVER] = "never",
	NULL,
};

static const struct option options[] = {
	OPTION(struct linux_config, kernel, OPTION_PATH, .required = true,
	       .doc = "The kernel: a bzImage or an uncompressed vmlinux on x86_64, an Image or "
		      "Image.gz on arm64"),
	OPTION(struct linux_config, initrd, OPTION_PATH, .doc = "Its initial RAM disk"),
	OPTION(struct linux_config, cmdline, OPTION_STRING,
	       .def = "console=hvc0 earlyprintk=serial panic=1", .doc = "Its command line"),
	OPTION(struct linux_config, unpack, OPTION_ENUM, .words = unpack_words, .def = "auto",
	       .doc = "Whether a compressed kernel is unpacked on the host, which is faster and "
		      "leaves it no random address (KASLR)"),
	OPTION(struct linux_config, dtb, OPTION_PATH, .arches = ARCH_ARM64,
	       .doc = "A device tree of yours, in the place of the one that is made for this VM"),
	{ 0 },
};

static const struct linux_arch *const arches[] = { &linux_x86_64, &linux_arm64 };

void linux_plan_other(const struct plan *plan, const struct linux_notes *notes,
		      const struct image *kernel, const char *help, struct diags *diags)
{
	static const char linux_for[] = "a Linux kernel for ";
	struct identity identity = identify_image(kernel);
	const char *arch = hv_arch_name(plan->arch->arch);

	if (identity.name && !strncmp(identity.name, linux_for, strlen(linux_for))) {
		diag_error(diags, notes->mark, "image '%s' is %s; this VM is %s", kernel->path,
			   identity.name, arch);
		return;
	}
	diag_error(diags, notes->mark, "image '%s' is no Linux kernel for %s%s%s", kernel->path,
		   arch, identity.name ? " but " : "", identity.name ? identity.name : "");
	if (!identify_help(plan, &identity, diags))
		diag_help(diags, "%s", help);
}

uint64_t linux_unpack_max(const struct plan *plan, uint64_t told)
{
	return plan->memory_bad || told < plan->ram_size ? told : plan->ram_size;
}

static void linux_plan(struct plan *plan, const struct config_choice *boot, struct diags *diags)
{
	const struct linux_config *config = boot->options;
	struct mark mark = node_get(boot->node, "kernel")->mark;
	const struct linux_arch *arch = NULL;
	struct linux_notes *notes;
	struct image kernel;

	for (size_t i = 0; i < ARRAY_SIZE(arches) && !arch; i++) {
		if (arches[i]->arch == plan->arch->arch)
			arch = arches[i];
	}
	if (!arch || image_open(&kernel, config->kernel, mark, diags))
		return;
	notes = calloc(1, arch->notes_size);
	if (notes) {
		notes->arch = arch;
		notes->extras = kernel_extras(boot, config->cmdline, config->initrd);
		notes->mark = mark;
		notes->kernel_size = kernel.size;
		notes->may_unpack = config->unpack == UNPACK_AUTO;
		plan->boot_private = notes;
		kernel_plan_dtb(plan, boot, config->dtb, 0);
		arch->plan(plan, notes, &kernel, diags);
	} else {
		diag_error(diags, MARK_NONE, "out of memory");
	}
	image_close(&kernel);
}

static int linux_load(const struct plan *plan, const struct config_choice *boot,
		      struct memory *memory, struct err *err)
{
	const struct linux_config *config = boot->options;
	const struct linux_notes *notes = plan->boot_private;
	struct image kernel = notes->unpacked;
	int ret = 0;

	if (!notes->is_unpacked)
		ret = image_reopen(&kernel, config->kernel, notes->kernel_size, err);
	if (ret)
		return ret;
	ret = kernel_load_extras(&notes->extras, memory, err);
	if (!ret)
		ret = notes->arch->load(plan, notes, &kernel, memory, err);
	if (!notes->is_unpacked)
		image_close(&kernel);
	return ret;
}

static void linux_release(void *boot_private)
{
	struct linux_notes *notes = boot_private;

	if (notes && notes->is_unpacked)
		image_close(&notes->unpacked);
	free(notes);
}

const struct boot_row boot_linux = {
	.type = {
		.name = "linux",
		.doc = "A Linux kernel, entered by Linux's own boot protocol",
		.options = options,
		.size = sizeof(struct linux_config),
	},
	.arches = ARCH_ANY,
	.interrupts = true,
	.tables = true,
	.panic = "Kernel panic - not syncing",
	.devices = kernel_devices,
	.plan = linux_plan,
	.load = linux_load,
	.release = linux_release,
};
