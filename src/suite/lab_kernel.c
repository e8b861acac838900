/* lab_kernel.c: a kernel for the lab, and its modules. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vibevmm/bytes.h>

#include "lab.h"

/* What the lab can't do without: its files come by 9p, over virtio, with what is written kept in
 * memory; QEMU's x86 processor is AMD's. On arm64, KVM is in the kernel itself. */
#define NEEDED_X86_64 "virtio_pci 9p 9pnet_virtio overlay kvm-amd"
#define NEEDED_ARM64  "virtio_pci 9p 9pnet_virtio overlay"
/* What only some devices of VMs need. */
#define OPTIONAL "tun vhost_net vhost_vsock"

/* ---- modules.dep and modules.builtin -------------------------------------------------------- */

/* Whether a module's file is that of the module `name`: - and _ are the same in both. */
static bool is_module(const char *path, size_t len, const char *name, size_t name_len)
{
	const char *base = memrchr(path, '/', len);

	base = base ? base + 1 : path;
	len -= (size_t)(base - path);
	if (len < name_len + 3 || memcmp(base + name_len, ".ko", 3) != 0)
		return false;
	for (size_t i = 0; i < name_len; i++) {
		if (base[i] != name[i] && !(strchr("-_", base[i]) && strchr("-_", name[i])))
			return false;
	}
	return true;
}

/* The line about a module, and its length; NULL: none. */
static const char *find_line(const char *text, const char *name, size_t name_len, size_t *len)
{
	for (; *text; text += *len + (text[*len] == '\n')) {
		*len = strcspn(text, "\n");
		if (is_module(text, strcspn(text, ":\n"), name, name_len))
			return text;
	}
	return NULL;
}

static int add_file(const char *path, size_t len, char ***files, size_t *n)
{
	char **list;

	for (size_t i = 0; i < *n; i++) {
		if (!strncmp((*files)[i], path, len) && !(*files)[i][len])
			return 0;
	}
	list = realloc(*files, (*n + 1) * sizeof(*list));
	if (!list)
		return -ENOMEM;
	*files = list;
	list[*n] = strndup(path, len);
	if (!list[*n])
		return -ENOMEM;
	(*n)++;
	return 0;
}

/* A line is "MODULE: NEEDED...", the one to load first at its end. */
static int add_line(const char *line, size_t len, char ***files, size_t *n)
{
	size_t own = strcspn(line, ":\n");
	int ret = 0;

	while (!ret && len > own + 1) {
		const char *space = memrchr(line, ' ', len), *word = space ? space + 1 : line + len;

		if (word < line + len)
			ret = add_file(word, len - (size_t)(word - line), files, n);
		len = space ? (size_t)(space - line) : 0;
	}
	return ret ? ret : add_file(line, own, files, n);
}

int lab_modules_order(const char *dep, const char *builtin, const char *wanted, char ***files,
		      size_t *n, const char **missing)
{
	size_t name_len, len;

	for (; *wanted; wanted += name_len + strspn(wanted + name_len, " ")) {
		const char *line;
		int ret = 0;

		name_len = strcspn(wanted, " ");
		line = find_line(dep, wanted, name_len, &len);
		if (line)
			ret = add_line(line, len, files, n);
		else if (missing && !find_line(builtin, wanted, name_len, &len))
			ret = -ENOENT;
		if (ret == -ENOENT)
			*missing = wanted;
		if (ret)
			return ret;
	}
	return 0;
}

/* ---- Where they are ------------------------------------------------------------------------- */

/* A text file of a directory, or NULL with errno. */
static char *read_text(const char *dir, const char *name)
{
	FILE *in = NULL;
	char *path, *text = NULL;
	size_t size = 0;

	if (asprintf(&path, "%s/%s", dir, name) < 0)
		return NULL;
	in = fopen(path, "re");
	free(path);
	if (!in)
		return NULL;
	if (getdelim(&text, &size, 0, in) < 0) {
		free(text);
		text = strdup("");
	}
	fclose(in);
	return text;
}

/* Beside the kernel, as distributions have it or as their packages unpack, or the system's. */
static char *find_modules(const char *kernel, const char *version)
{
	static const char *const places[] = { "%s/lib/modules/%s", "%s/../lib/modules/%s",
					      "%s/../%s" };
	const char *slash = strrchr(kernel, '/');
	char *dir, *path;

	dir = slash ? strndup(kernel, (size_t)(slash - kernel)) : strdup(".");
	for (size_t i = 0; dir && i < ARRAY_SIZE(places); i++) {
		if (asprintf(&path, places[i], dir, version) < 0)
			break;
		if (!access(path, F_OK)) {
			free(dir);
			return path;
		}
		free(path);
	}
	free(dir);
	return asprintf(&path, "/lib/modules/%s", version) < 0 ? NULL : path;
}

static int no_list(const struct lab_kernel *kernel, struct err *err)
{
	const char *version = kernel->boot.version;

	if (access(kernel->modules, F_OK))
		return err_set(err, ENOENT, STATUS_UNAVAILABLE,
			       "the modules of kernel '%s' are not here: lib/modules/%s is neither "
			       "beside it nor in /",
			       kernel->path, version);
	return err_set(err, ENOENT, STATUS_UNAVAILABLE,
		       "'%s' has no modules.dep: `depmod -b ROOT %s` makes it, ROOT being where "
		       "lib/modules is",
		       kernel->modules, version);
}

static int order(struct lab_kernel *kernel, struct err *err)
{
	const char *needed = kernel->boot.arch == ARCH_X86_64 ? NEEDED_X86_64 : NEEDED_ARM64;
	char *dep = read_text(kernel->modules, "modules.dep");
	char *builtin = read_text(kernel->modules, "modules.builtin");
	const char *missing = NULL;
	int ret;

	if (!dep) {
		ret = no_list(kernel, err);
		goto out;
	}
	ret = lab_modules_order(dep, builtin ? builtin : "", needed, &kernel->files,
				&kernel->n_files, &missing);
	if (!ret)
		ret = lab_modules_order(dep, "", OPTIONAL, &kernel->files, &kernel->n_files, NULL);
	if (missing)
		err_set(err, ENOENT, STATUS_UNAVAILABLE,
			"kernel '%s' has no module %.*s in '%s', which the lab needs; kernels for "
			"clouds often lack it",
			kernel->path, (int)strcspn(missing, " "), missing, kernel->modules);
	else if (ret)
		err_errno(err, -ret, STATUS_OSERR, "can't list the modules of kernel '%s'",
			  kernel->path);
out:
	free(dep);
	free(builtin);
	return ret;
}

/* ---- Which kernel --------------------------------------------------------------------------- */

void lab_kernel_close(struct lab_kernel *kernel)
{
	image_close(&kernel->boot.image);
	for (size_t i = 0; i < kernel->n_files; i++)
		free(kernel->files[i]);
	free(kernel->files);
	free(kernel->modules);
	free(kernel->path);
}

static int open_kernel(struct lab_kernel *kernel, const char *path, enum arch arch, struct err *err)
{
	struct lab_kernel found = { 0 };
	struct boot_kernel boot;
	char *copy = strdup(path);
	int ret;

	if (!copy)
		return err_errno(err, ENOMEM, STATUS_OSERR, "can't open '%s'", path);
	ret = boot_kernel_open(copy, &boot, err);
	if (ret) {
		free(copy);
		return ret;
	}
	found.boot = boot;
	found.path = copy;
	if (found.boot.arch != arch)
		ret = err_set(err, EXDEV, STATUS_UNAVAILABLE,
			      "kernel '%s' is for %s, and the lab for these cases needs one for %s",
			      path, hv_arch_name(found.boot.arch), hv_arch_name(arch));
	if (!ret) {
		found.modules = find_modules(path, found.boot.version);
		ret = found.modules ? order(&found, err)
				    : err_errno(err, ENOMEM, STATUS_OSERR, "can't open '%s'", path);
	}
	if (ret)
		lab_kernel_close(&found);
	else
		*kernel = found;
	return ret;
}

/* By the versions in their names, the newest first. */
static int compare(const void *a, const void *b)
{
	const char *x = *(const char *const *)a, *y = *(const char *const *)b;

	return strverscmp(y + strcspn(y, "0123456789"), x + strcspn(x, "0123456789"));
}

/* The newest that will do; what is wrong with the newest of all, if none does. */
static int search(struct lab_kernel *kernel, enum arch arch, struct err *err)
{
	struct err why = { 0 }, first = { 0 };
	int ret = -ENOENT;
	glob_t found = { 0 };

	glob("{/boot/vmlinuz-*,/lib/modules/*/vmlinuz}", GLOB_BRACE, NULL, &found);
	qsort(found.gl_pathv, found.gl_pathc, sizeof(*found.gl_pathv), compare);
	for (size_t i = 0; ret && i < found.gl_pathc; i++) {
		ret = open_kernel(kernel, found.gl_pathv[i], arch, &why);
		if (ret && !first.text[0])
			first = why;
	}
	globfree(&found);
	if (ret)
		err_set(err, -ret, STATUS_UNAVAILABLE,
			"the lab has no kernel for %s: %s; name one by --lab-kernel, or install it "
			"(Debian: apt-get install linux-image-%s)",
			hv_arch_name(arch),
			first.text[0] ? first.text : "none is in /boot or /lib/modules",
			arch == ARCH_X86_64 ? "amd64" : "arm64");
	return ret;
}

int lab_kernel_open(struct lab_kernel *kernel, const char *path, enum arch arch, struct err *err)
{
	struct err why = { 0 };
	int ret = path ? open_kernel(kernel, path, arch, &why) : -ENOENT;

	if (!path)
		return search(kernel, arch, err);
	/* A suite may be for several: the kernel given is for one of them. */
	if (ret == -EXDEV && !search(kernel, arch, NULL))
		return 0;
	if (ret && err)
		*err = why;
	return ret;
}
