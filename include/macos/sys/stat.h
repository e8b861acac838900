/* stat.h: the names that Linux and POSIX have for times. */
#ifndef MACOS_SYS_STAT_H
#define MACOS_SYS_STAT_H

#include_next <sys/stat.h>

#define st_atim st_atimespec
#define st_mtim st_mtimespec
#define st_ctim st_ctimespec

#endif
