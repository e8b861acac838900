/* mman.h: a file without a name. */
#ifndef MACOS_SYS_MMAN_H
#define MACOS_SYS_MMAN_H

#include_next <sys/mman.h>

enum { MFD_CLOEXEC = 1 };

/* In the folder for temporary files (src/base/memfd_macos.c); closed in programs that are started,
 * whatever the flags. */
int memfd_create(const char *name, unsigned flags);

#endif
