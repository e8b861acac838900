/* lab_initrd_linux.c: the initramfs of the lab: this very program, the kernel's modules, the job.
 */
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lab.h"

static const char self[] = "/proc/self/exe";

/* A file, unpacked if it is packed, as an entry of the archive. */
static int add_file(FILE *out, const char *name, mode_t mode, const char *path, struct err *err)
{
	struct image image;
	void *map;
	int ret;

	ret = boot_unpack(path, false, &image, err);
	if (ret)
		return ret;
	map = mmap(NULL, image.size, PROT_READ, MAP_PRIVATE, image.fd, 0);
	if (map == MAP_FAILED) {
		ret = err_errno(err, errno, STATUS_OSERR, "can't read '%s'", path);
		goto out;
	}
	ret = lab_cpio_add(out, name, S_IFREG | mode, map, image.size);
	if (ret)
		err_errno(err, -ret, STATUS_OSERR, "can't pack '%s'", path);
	munmap(map, image.size);
out:
	image_close(&image);
	return ret;
}

/* ---- The program ---------------------------------------------------------------------------- */

struct libraries {
	FILE *out;
	struct err *err;
};

/* By the names that the dynamic loader found them by, its own among them: they are looked for there
 * in the lab as well. The program itself has no name, the vDSO has no slash. */
static int add_library(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct libraries *libraries = arg;

	(void)size;
	if (info->dlpi_name[0] != '/')
		return 0;
	return add_file(libraries->out, info->dlpi_name + 1, 0755, info->dlpi_name, libraries->err);
}

/* Whether it needs no loader: System V ABI, chapter 5, "Program Interpreter". */
static bool is_static(const struct image *program)
{
	Elf64_Ehdr head;
	Elf64_Phdr part;

	if (image_read(program, 0, &head, sizeof(head)) || memcmp(head.e_ident, ELFMAG, SELFMAG))
		return false;
	for (unsigned i = 0; i < head.e_phnum; i++) {
		if (image_read(program, head.e_phoff + (uint64_t)i * sizeof(part), &part,
			       sizeof(part)) ||
		    part.p_type == PT_INTERP)
			return false;
	}
	return true;
}

int lab_program_find(enum arch arch, char **path, struct err *err)
{
	const char *name = hv_arch_name(arch);
	char own[4096], *found;
	struct image program;
	ssize_t n = readlink(self, own, sizeof(own) - 1);
	int ret;

	if (n < 0)
		return err_errno(err, errno, STATUS_OSERR, "can't read %s", self);
	own[n] = 0;
	*strrchr(own, '/') = 0;
	if (asprintf(&found, "%s/vibevmm-%s", own, name) < 0)
		return err_errno(err, ENOMEM, STATUS_OSERR, "can't look for vibevmm-%s", name);
	ret = boot_unpack(found, false, &program, NULL);
	if (ret) {
		err_set(err, -ret, STATUS_UNAVAILABLE,
			"the lab for %s needs a vibevmm of that architecture, as '%s': "
			"`make ARCH=%s LDFLAGS=-static` builds it",
			name, found, name);
	} else {
		if (!is_static(&program))
			ret = err_set(err, ENOEXEC, STATUS_UNAVAILABLE,
				      "'%s' is no static program, and its libraries are not here: "
				      "`make ARCH=%s LDFLAGS=-static` builds one",
				      found, name);
		image_close(&program);
	}
	if (ret)
		free(found);
	else
		*path = found;
	return ret;
}

/* ---- The rest ------------------------------------------------------------------------------- */

/* The names' order is that of loading. */
static int add_modules(FILE *out, const struct lab_kernel *kernel, struct err *err)
{
	int ret = 0;

	for (size_t i = 0; i < kernel->n_files && !ret; i++) {
		char name[32], *path;

		snprintf(name, sizeof(name), "modules/%03zu", i);
		if (asprintf(&path, "%s/%s", kernel->modules, kernel->files[i]) < 0)
			return err_errno(err, ENOMEM, STATUS_OSERR, "can't pack modules");
		ret = add_file(out, name, 0644, path, err);
		free(path);
	}
	return ret;
}

static int add_job(FILE *out, const struct lab_job *job, struct err *err)
{
	char *text = NULL;
	size_t len = 0;
	FILE *memory = open_memstream(&text, &len);
	int ret = memory ? lab_job_write(job, memory) : -ENOMEM;

	if (memory && fclose(memory))
		ret = -ENOMEM;
	if (!ret)
		ret = lab_cpio_add(out, "job", S_IFREG | 0644, text, len);
	if (ret)
		err_errno(err, -ret, STATUS_OSERR, "can't tell the lab what to do");
	free(text);
	return ret;
}

int lab_initrd_write(const char *program, const struct lab_kernel *kernel,
		     const struct lab_job *job, FILE *out, struct err *err)
{
	struct libraries libraries = { out, err };
	int ret;

	ret = add_file(out, "init", 0755, program ? program : self, err);
	if (!ret && !program)
		ret = dl_iterate_phdr(add_library, &libraries);
	if (!ret)
		ret = add_modules(out, kernel, err);
	if (!ret)
		ret = add_job(out, job, err);
	if (ret)
		return ret;
	lab_cpio_end(out);
	return fflush(out) || ferror(out)
		       ? err_errno(err, errno, STATUS_OSERR, "can't write the lab's initramfs")
		       : 0;
}
