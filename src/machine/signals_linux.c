/* signals_linux.c: handlers run on vCPU 0's thread: KVM lets a signal out of the guest. */
#include "machine_private.h"

void machine_signals_listen(const sigset_t *set)
{
	(void)set;
}

void machine_signals_deafen(void) {}
