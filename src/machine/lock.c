/* lock.c: a VM's lock file: which bytes the files had that its config names.
 *
 *     version: 1
 *     files:
 *       - path: "guests/hello.bin"
 *         size: 4096
 *         sha256: 9f86d081...
 *
 * Paths stand there as they are written in the config, so that a repository can be checked out
 * anywhere.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vibevmm/machine.h>

#define VERSION	    "1"
#define HASH_BUFFER (1u << 20)

/* One file of the config. */
struct file {
	const struct node *node; /* its place, and the path as written */
	const char *path;	 /* that leads to it */
	uint64_t size;
	char digest[SHA256_DIGEST_STRING_LENGTH]; /* in hex */
};

struct files {
	struct file *list;
	size_t n, cap;
	uint64_t done, total; /* bytes */
	machine_progress_fn progress;
	void *arg;
	struct diags *diags;
};

/* ---- Finding the files --------------------------------------------------------------------- */

/* O_NONBLOCK: a FIFO must not hang us. The size of a block device is where it ends. */
static int open_file(const struct files *files, const struct node *node, const char *path,
		     uint64_t *size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	off_t end;

	if (fd < 0) {
		diag_missing_file(files->diags, node->mark, "cannot open '%s': %s", path,
				  strerror(errno));
		return -1;
	}
	if (fstat(fd, &st) || (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))) {
		diag_error(files->diags, node->mark, "'%s' is neither a file nor a disk", path);
		close(fd);
		return -1;
	}
	end = lseek(fd, 0, SEEK_END);
	*size = end > 0 ? (uint64_t)end : 0;
	return fd;
}

static int add_file(void *arg, const struct config_choice *choice, const struct option *option,
		    const void *member, const struct node *node)
{
	struct files *files = arg;
	struct file file = { .node = node };
	int fd;

	(void)choice;
	if (option->kind != OPTION_PATH || option->made || option->folder)
		return 0;
	file.path = *(char *const *)member;
	for (size_t i = 0; i < files->n; i++) {
		/* A ROM that is also booted is read once. */
		if (!strcmp(files->list[i].path, file.path) &&
		    !strcmp(files->list[i].node->text, node->text))
			return 0;
	}
	if (files->n == files->cap) {
		size_t cap = files->cap ? 2 * files->cap : 8;
		struct file *list = realloc(files->list, cap * sizeof(*list));

		if (!list)
			return -ENOMEM;
		files->list = list;
		files->cap = cap;
	}
	fd = open_file(files, node, file.path, &file.size);
	if (fd < 0)
		return 0;
	close(fd);
	files->total += file.size;
	files->list[files->n++] = file;
	return 0;
}

/* ---- Hashing ------------------------------------------------------------------------------- */

static bool hash_file(struct files *files, struct file *file, uint8_t *buffer)
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	uint64_t size, left;
	ssize_t n = 0;
	SHA2_CTX sha;
	int fd = open_file(files, file->node, file->path, &size);

	if (fd < 0)
		return false;
	posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	SHA256Init(&sha);
	left = file->size = size;
	if (lseek(fd, 0, SEEK_SET))
		left = UINT64_MAX;
	while (left) {
		n = read(fd, buffer, left < HASH_BUFFER ? left : HASH_BUFFER);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		SHA256Update(&sha, buffer, (size_t)n);
		left -= (uint64_t)n;
		files->done += (uint64_t)n;
		if (files->progress)
			files->progress(files->arg, file->path, files->done, files->total);
	}
	if (left)
		diag_missing_file(files->diags, file->node->mark, "cannot read all of '%s': %s",
				  file->path, n < 0 ? strerror(errno) : "it became shorter");
	close(fd);
	SHA256Final(digest, &sha);
	for (size_t i = 0; i < sizeof(digest); i++)
		snprintf(file->digest + 2 * i, 3, "%02x", digest[i]);
	return !left;
}

/* Finds and hashes what the config names; what fails goes to diags. 0 or -ENOMEM. */
static int hash_files(struct files *files, const struct vm_config *vm)
{
	uint8_t *buffer = malloc(HASH_BUFFER);
	int ret = buffer ? config_each_option(vm, add_file, files) : -ENOMEM;

	for (size_t i = 0; !ret && i < files->n; i++) {
		if (!hash_file(files, &files->list[i], buffer))
			files->list[i].digest[0] = 0;
	}
	free(buffer);
	return ret;
}

/* ---- Writing ------------------------------------------------------------------------------- */

int machine_lock_path(const char *config, char *buf, size_t len)
{
	const char *dot = strrchr(config, '.');
	size_t stem = dot && (!strcmp(dot, ".yaml") || !strcmp(dot, ".yml"))
			      ? (size_t)(dot - config)
			      : strlen(config);
	int n = snprintf(buf, len, "%.*s.lock", (int)stem, config);

	return n < 0 || (size_t)n >= len ? -ENAMETOOLONG : 0;
}

/* Leaves one entry for each path. Two files that are written alike (in configs of different
 * directories) must be alike. */
static void drop_repeated(struct files *files)
{
	size_t n = 0;

	for (size_t i = 0; i < files->n; i++) {
		const struct file *file = &files->list[i];
		size_t k = 0;

		while (k < n && strcmp(files->list[k].node->text, file->node->text) != 0)
			k++;
		if (k == n) {
			files->list[n++] = *file;
		} else if (strcmp(files->list[k].digest, file->digest) != 0) {
			diag_error(files->diags, file->node->mark,
				   "'%s' is '%s' here, and another file elsewhere",
				   file->node->text, file->path);
			diag_note(files->diags, files->list[k].node->mark, "it is '%s' here",
				  files->list[k].path);
			diag_help(files->diags, "a lock file needs them to be written differently");
		}
	}
	files->n = n;
}

static int print_lock(const struct files *files, FILE *out)
{
	int ret = 0;

	fputs("# Made by `vibevmm lock`; `vibevmm run --locked` refuses files that differ.\n"
	      "version: " VERSION "\n",
	      out);
	fputs(files->n ? "files:\n" : "files: []\n", out);
	for (size_t i = 0; i < files->n && !ret; i++) {
		fputs("  - path: ", out);
		ret = config_print_text(files->list[i].node->text, out);
		fprintf(out, "\n    size: %" PRIu64 "\n    sha256: %s\n", files->list[i].size,
			files->list[i].digest);
	}
	return ret ? ret : ferror(out) ? -EIO : 0;
}

/* Beside the old one, then in its place: a lock file is never half written. */
static int write_lock(const struct files *files, const char *lock, struct err *err)
{
	char *path = NULL;
	FILE *out = NULL;
	int ret = 0;

	if (asprintf(&path, "%s.new", lock) < 0)
		return err_errno(err, ENOMEM, STATUS_OSERR, "cannot write '%s'", lock);
	out = fopen(path, "we");
	if (!out)
		ret = -errno;
	else
		ret = print_lock(files, out);
	if (out && fclose(out) && !ret)
		ret = -errno;
	if (!ret && rename(path, lock))
		ret = -errno;
	if (ret && out)
		unlink(path);
	free(path);
	return ret ? err_errno(err, -ret, STATUS_OSERR, "cannot write '%s'", lock) : 0;
}

int machine_lock_write(const struct vm_config *vm, const char *lock, machine_progress_fn progress,
		       void *arg, struct diags *diags, struct err *err)
{
	struct files files = { .progress = progress, .arg = arg, .diags = diags };
	int ret = hash_files(&files, vm);

	if (ret) {
		ret = err_errno(err, -ret, STATUS_OSERR, "cannot lock");
		goto out;
	}
	drop_repeated(&files);
	ret = diags_errors(diags) ? -EINVAL : write_lock(&files, lock, err);
	if (!ret)
		ret = (int)files.n;
out:
	free(files.list);
	return ret;
}

/* ---- Checking ------------------------------------------------------------------------------ */

static const char *scalar(const struct node *map, const char *key)
{
	const struct node *node = node_get(map, key);

	return node && node->kind == NODE_SCALAR ? node->text : NULL;
}

/* Entry i of the list: complete, well formed, and of a file that has no other. */
static bool good_entry(const struct node *list, uint32_t i, struct diags *diags)
{
	const struct node *entry = list->children[i];
	const char *path = scalar(entry, "path"), *digest = scalar(entry, "sha256");

	if (!path || !scalar(entry, "size") || !digest) {
		diag_error(diags, entry->mark,
			   "an entry of a lock file has 'path', 'size' and 'sha256'");
		return false;
	}
	if (strlen(digest) != 2 * SHA256_DIGEST_LENGTH ||
	    strspn(digest, "0123456789abcdef") != 2 * SHA256_DIGEST_LENGTH) {
		diag_error(diags, node_get(entry, "sha256")->mark,
			   "a sha256 has 64 digits of 0-9 and a-f");
		return false;
	}
	for (uint32_t k = 0; k < i; k++) {
		if (strcmp(scalar(list->children[k], "path"), path) != 0)
			continue;
		diag_error(diags, node_get(entry, "path")->mark,
			   "'%s' stands twice in the lock file", path);
		diag_note(diags, node_get(list->children[k], "path")->mark, "first here");
		return false;
	}
	return true;
}

/* The list of files, or NULL after a diagnostic: this is no lock file of ours. */
static const struct node *locked_files(const struct node *root, const char *lock,
				       struct diags *diags)
{
	const struct node *version = node_get(root, "version"), *list = node_get(root, "files");

	if (!version || !scalar(root, "version")) {
		diag_error(diags, root->mark, "'%s' is no lock file: it has no version", lock);
		return NULL;
	}
	if (strcmp(version->text, VERSION) != 0) {
		diag_error(diags, version->mark,
			   "a lock file of version '%s'; this vibevmm reads version " VERSION,
			   version->text);
		return NULL;
	}
	if (!list || list->kind != NODE_SEQ) {
		diag_error(diags, list ? list->mark : root->mark,
			   "'files' of a lock file is a list, and there is none");
		return NULL;
	}
	for (uint32_t i = 0; i < list->n_children; i++) {
		if (!good_entry(list, i, diags))
			return NULL;
	}
	return list;
}

static void check_file(const struct file *file, const struct node *list, const char *lock,
		       struct diags *diags)
{
	const struct node *entry = NULL;
	char size[24];

	for (uint32_t i = 0; i < list->n_children && !entry; i++) {
		if (!strcmp(scalar(list->children[i], "path"), file->node->text))
			entry = list->children[i];
	}
	if (!entry) {
		diag_error(diags, file->node->mark, "'%s' is not in the lock file '%s'",
			   file->node->text, lock);
		diag_help(diags, "now it has sha256 %s; `vibevmm lock` takes it in", file->digest);
		return;
	}
	snprintf(size, sizeof(size), "%" PRIu64, file->size);
	if (!strcmp(scalar(entry, "sha256"), file->digest) && !strcmp(scalar(entry, "size"), size))
		return;
	diag_error(diags, file->node->mark, "'%s' is not the file that was locked",
		   file->node->text);
	diag_note(diags, node_get(entry, "sha256")->mark, "locked: sha256 %s, %s bytes",
		  scalar(entry, "sha256"), scalar(entry, "size"));
	diag_help(diags, "now: sha256 %s, %s bytes", file->digest, size);
	diag_help(diags, "if the change is meant, `vibevmm lock` locks what is there now");
}

int machine_lock_check(const struct vm_config *vm, const char *lock, machine_progress_fn progress,
		       void *arg, struct diags *diags, struct err *err)
{
	struct files files = { .progress = progress, .arg = arg, .diags = diags };
	struct config_tree *tree = config_tree_load(lock, "a lock file", diags);
	const struct node *list = NULL;
	int ret = -EINVAL;

	if (tree)
		list = locked_files(config_tree_root(tree), lock, diags);
	if (!list) {
		diag_help(diags, "`vibevmm lock` writes a new one");
		goto out;
	}
	ret = hash_files(&files, vm);
	if (ret) {
		ret = err_errno(err, -ret, STATUS_OSERR, "cannot check '%s'", lock);
		goto out;
	}
	for (size_t i = 0; i < files.n; i++) {
		if (files.list[i].digest[0])
			check_file(&files.list[i], list, lock, diags);
	}
	ret = diags_errors(diags) ? -EINVAL : 0;
out:
	config_tree_free(tree);
	free(files.list);
	return ret;
}
