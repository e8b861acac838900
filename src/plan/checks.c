/* checks.c: what rows promise about the whole VM: no MAC address, interface, PCI function or tag
 * twice, folders that are there, disk images that are, too, and don't get in each other's way, and
 * memory that stays in place. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vibevmm/shell.h>

#include "planner.h"

/* A MAC address, an interface or a PCI function of the host, a tag, or a disk image of some device.
 */
struct thing {
	const struct node *node;
	const char *owner; /* "virtio-net" */
	const char *name;  /* of what only one may have; NULL: a disk */
	const char *what;  /* that is, "MAC address" */
	dev_t dev;
	ino_t ino;
	bool written;
	size_t position; /* in the order of the config, whichever file it is written in */
};

struct things {
	struct planner *p;
	struct thing *list;
	size_t n, cap;
};

static int add(struct things *things, const struct thing *thing)
{
	if (things->n == things->cap) {
		size_t cap = things->cap ? 2 * things->cap : 16;
		struct thing *list = realloc(things->list, cap * sizeof(*list));

		if (!list)
			return -ENOMEM;
		things->list = list;
		things->cap = cap;
	}
	things->list[things->n] = *thing;
	things->list[things->n].position = things->n;
	things->n++;
	return 0;
}

/* ---- Files ----------------------------------------------------------------------------------- */

bool plan_check_access(struct planner *p, struct mark mark, const char *what, const char *path,
		       bool written)
{
	char word[SHELL_QUOTE_MAX];
	/* AT_EACCESS: what open(2) will look at. */
	if (!faccessat(AT_FDCWD, path, R_OK | (written ? W_OK : 0), AT_EACCESS))
		return true;
	if (errno == EROFS)
		diag_missing_file(p->diags, mark, "%s '%s' lies on a read-only filesystem", what,
				  path);
	else if (faccessat(AT_FDCWD, path, R_OK, AT_EACCESS))
		diag_missing_file(p->diags, mark, "cannot read %s '%s': %s", what, path,
				  strerror(errno));
	else
		diag_missing_file(p->diags, mark, "cannot write %s '%s', only read it", what, path);
	diag_help(p->diags, "`namei -l %s` shows who may %s it",
		  shell_quote(path, word, sizeof(word)), written ? "write" : "read");
	return false;
}

bool plan_check_stat(struct planner *p, struct mark mark, const char *what, const char *path,
		     struct stat *st)
{
	int errnum;

	if (!stat(path, st))
		return true;
	errnum = errno;
	diag_missing_file(p->diags, mark, "cannot read %s '%s': %s", what, path, strerror(errnum));
	if (errnum == ENOENT && path[0] != '/')
		diag_help(p->diags, "paths are relative to the config file that names them");
	return false;
}

/* ---- Disks ----------------------------------------------------------------------------------- */

/* What a raw disk begins with is the guest's to write, so formats are never guessed. But who says
 * nothing of one, and has such an image, has forgotten to. */
static bool check_format(struct planner *p, const struct node *node, const char *key)
{
	static const char qcow2[] = { 'Q', 'F', 'I', '\xfb' }; /* QEMU, docs/interop/qcow2.txt */
	int fd = open(node->canon, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	char begin[sizeof(qcow2)];
	ssize_t n;

	if (fd < 0)
		return true; /* it is told by whoever opens it next */
	n = pread(fd, begin, sizeof(begin), 0);
	close(fd);
	if (n != sizeof(begin) || memcmp(begin, qcow2, sizeof(begin)) != 0)
		return true;
	diag_error(p->diags, node->mark, "disk '%s' is a qcow2 image, and formats are not guessed",
		   node->canon);
	diag_help(p->diags,
		  "write `%s: qcow2`; or `%s: raw` if it is a raw disk that begins like one", key,
		  key);
	return false;
}

/* How large a block device is can't be told without opening it; the device finds out. */
static void check_sectors(struct planner *p, const struct config_choice *choice,
			  const struct node *node, const char *key, uint64_t size)
{
	const struct node *option = node_get(choice->node, key);
	uint64_t sector = registry_value(choice, key);
	char text[PLAN_TEXT], word[SHELL_QUOTE_MAX];

	if (!sector || size % sector == 0)
		return;
	diag_error(p->diags, node->mark,
		   "disk '%s' has %" PRIu64 " bytes; it must be a multiple of its sectors of %s",
		   node->canon, size, plan_size_text(sector, text));
	if (option && !option->is_default)
		diag_note(p->diags, option->mark, "the size of a sector is given here");
	diag_help(p->diags, "`truncate -s %%%" PRIu64 " %s` rounds it up", sector,
		  shell_quote(node->canon, word, sizeof(word)));
}

static int add_disk(struct things *things, const struct config_choice *choice,
		    const struct option *option, const struct node *node)
{
	const struct option_disk *disk = option->disk;
	struct thing thing = { .node = node, .owner = choice->type->name };
	const char *path = node->canon;
	struct planner *p = things->p;
	char word[SHELL_QUOTE_MAX];
	struct stat st;

	thing.written = config_disk_written(choice, disk);
	if (!plan_check_stat(p, node->mark, "disk", path, &st))
		return 0;
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
		diag_error(p->diags, node->mark, "disk '%s' is %s; it must be a file or a disk",
			   path, S_ISDIR(st.st_mode) ? "a directory" : "neither file nor disk");
		return 0;
	}
	if (S_ISREG(st.st_mode) && !st.st_size) {
		diag_error(p->diags, node->mark, "disk '%s' is empty", path);
		diag_help(p->diags, "`truncate -s 1G %s` makes it a disk of 1 GiB",
			  shell_quote(path, word, sizeof(word)));
		return 0;
	}
	if (!plan_check_access(p, node->mark, "disk", path, thing.written))
		return 0;
	if (S_ISREG(st.st_mode) && disk->format && !node_given(choice->node, disk->format) &&
	    !check_format(p, node, disk->format))
		return 0;
	if (S_ISREG(st.st_mode) && disk->sector &&
	    !(disk->format && registry_value(choice, disk->format)))
		check_sectors(p, choice, node, disk->sector, (uint64_t)st.st_size);
	/* One disk may have several device nodes. */
	thing.dev = S_ISBLK(st.st_mode) ? 0 : st.st_dev;
	thing.ino = S_ISBLK(st.st_mode) ? (ino_t)st.st_rdev : st.st_ino;
	return add(things, &thing);
}

/* ---- Folders --------------------------------------------------------------------------------- */

static void check_folder(struct planner *p, const struct node *node)
{
	const char *path = node->canon;
	struct stat st;

	if (!plan_check_stat(p, node->mark, "folder", path, &st))
		return;
	if (S_ISDIR(st.st_mode)) {
		plan_check_access(p, node->mark, "folder", path, false);
		return;
	}
	diag_error(p->diags, node->mark, "'%s' is no folder", path);
	diag_help(p->diags, "name the folder that it lies in: all of that is shared");
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static void check_part_of_ram(struct planner *p, const struct config_choice *choice,
			      const struct node *node)
{
	uint64_t size = registry_value(choice, node->key), ram = p->plan->ram_size;
	char part[PLAN_TEXT], all[PLAN_TEXT];

	if (size <= ram || p->plan->memory_bad)
		return;
	diag_error(p->diags, node->mark, "'%s' of %s is %s, and the VM has %s of RAM", node->key,
		   choice->type->name, plan_size_text(size, part), plan_size_text(ram, all));
	diag_help(p->diags, "write less here, or more `memory`");
}

/* ---- Twice the same -------------------------------------------------------------------------- */

static int collect(void *arg, const struct config_choice *choice, const struct option *option,
		   const void *member, const struct node *node)
{
	struct things *things = arg;
	struct thing thing = { .node = node };

	(void)member;
	if (!choice)
		return 0;
	if (option->kind == OPTION_PATH && option->disk)
		return add_disk(things, choice, option, node);
	if (option->kind == OPTION_PATH && option->folder)
		check_folder(things->p, node);
	if (option->kind == OPTION_SIZE && option->of_ram)
		check_part_of_ram(things->p, choice, node);
	if (option->kind != OPTION_STRING)
		return 0;
	switch (option->text) {
	case TEXT_MAC:
		thing.what = "MAC address";
		break;
	case TEXT_IFNAME:
		thing.what = "interface";
		break;
	case TEXT_PCI:
		thing.what = "PCI function";
		break;
	default:
		if (!option->unique)
			return 0;
		thing.what = option->key;
	}
	thing.owner = choice->type->name;
	thing.name = node->canon;
	return add(things, &thing);
}

static int compare(const struct thing *x, const struct thing *y)
{
	if (!x->name != !y->name)
		return x->name ? 1 : -1;
	if (x->name)
		return strcmp(x->what, y->what) ?: strcmp(x->name, y->name);
	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	return (x->ino > y->ino) - (x->ino < y->ino);
}

/* The same ones next to each other, in the order of the config. */
static int by_thing(const void *a, const void *b)
{
	const struct thing *x = a, *y = b;
	int order = compare(x, y);

	return order ? order : (x->position > y->position) - (x->position < y->position);
}

static void report_twice(struct planner *p, const struct thing *first, const struct thing *again)
{
	if (again->name) {
		diag_error(p->diags, again->node->mark, "two devices have the %s %s", again->what,
			   again->name);
		diag_note(p->diags, first->node->mark, "first used here, by %s", first->owner);
		return;
	}
	diag_error(p->diags, again->node->mark, "'%s' is the disk of two devices, and %s writes it",
		   again->node->canon,
		   !first->written  ? "this one"
		   : again->written ? "each"
				    : "the other");
	diag_note(p->diags, first->node->mark, "first used here, by %s", first->owner);
	diag_help(p->diags, "give each its own copy, or let neither write it");
}

/* A device that reaches memory by itself keeps to the host's pages that were there when it came. */
static void check_pins(struct planner *p)
{
	const struct plan_device *pins = NULL, *drops = NULL;

	for (size_t i = 0; i < p->plan->n_devices; i++) {
		const struct plan_device *dev = &p->plan->devices[i];

		if (dev->row->pins_memory && !pins)
			pins = dev;
		if (dev->row->drops_memory && !drops)
			drops = dev;
	}
	if (!pins || !drops)
		return;
	diag_error(p->diags, drops->choice->mark,
		   "%s gives memory back to the host, and %s needs "
		   "all of it to stay where it is",
		   drops->label, pins->label);
	diag_note(p->diags, pins->choice->mark, "%s is declared here", pins->label);
	diag_help(p->diags, "remove one of them");
}

int plan_checks(struct planner *p)
{
	struct things things = { .p = p };
	int ret = config_each_option(p->plan->config, collect, &things);

	if (!ret && things.n)
		qsort(things.list, things.n, sizeof(*things.list), by_thing);
	for (size_t i = 1, first = 0; !ret && i < things.n; i++) {
		const struct thing *again = &things.list[i];

		if (compare(&things.list[first], again))
			first = i;
		else if (again->name || again->written || things.list[first].written)
			report_twice(p, &things.list[first], again);
	}
	free(things.list);
	check_pins(p);
	return ret;
}
