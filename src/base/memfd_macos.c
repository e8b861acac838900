/* memfd_macos.c: what Linux has in memory is a file here, which the kernel writes out when it wants
 * the memory. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int memfd_create(const char *name, unsigned flags)
{
	const char *folder = getenv("TMPDIR");
	char path[1024];
	int fd;

	(void)name;
	(void)flags;
	if ((size_t)snprintf(path, sizeof(path), "%s/vibevmm-XXXXXX",
			     folder && *folder ? folder : "/tmp") >= sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	return fd;
}
