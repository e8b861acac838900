/* terminal_linux.c: a descriptor that a signal's handler makes readable anew. */
#include <sys/eventfd.h>

#include "terminal_size.h"

static int event = -1;

int terminal_size_open(void)
{
	event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return event;
}

void terminal_size_tell(void)
{
	eventfd_write(event, 1); /* write(2), in glibc and musl */
}
