/* absent_macos.c: what only Linux lends to devices. Configs that want it are refused when they are
 * planned (linux_only in config.h), so that nobody calls these but to give back what is not there.
 */
#include <errno.h>

#include <vibevmm/net.h>

#include "disk_private.h"

static int absent(const char *what, struct err *err)
{
	return err_set(err, ENOTSUP, STATUS_UNAVAILABLE, "%s exist on Linux hosts only", what);
}

int tap_open(struct tap *tap, const char *name, unsigned queues, unsigned header, struct err *err)
{
	(void)tap;
	(void)name;
	(void)queues;
	(void)header;
	return absent("taps", err);
}

void tap_close(struct tap *tap)
{
	(void)tap;
}

int tap_set_offloads(const struct tap *tap, unsigned offloads)
{
	(void)tap;
	(void)offloads;
	return -ENOTSUP;
}

int tap_enable(const struct tap *tap, unsigned queue, bool on)
{
	(void)tap;
	(void)queue;
	(void)on;
	return -ENOTSUP;
}

int passt_start(const struct passt_config *config, struct err *err)
{
	(void)config;
	return absent("network cards by passt", err);
}

void passt_stop(int fd)
{
	(void)fd;
}

int disk_nbd_open(const struct disk_config *config, struct disk **disk, struct err *err)
{
	(void)config;
	(void)disk;
	return absent("disks of NBD servers and of qcow2 images", err);
}
