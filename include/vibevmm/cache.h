/* cache.h: the directory of what is kept for the next run: $XDG_CACHE_HOME/vibevmm, by default
 * ~/.cache/vibevmm.
 */
#ifndef VIBEVMM_CACHE_H
#define VIBEVMM_CACHE_H

#include <stdbool.h>
#include <sys/stat.h>

/* The directory, made if need be; -1: there is none, or somebody else may write it. The caller
 * closes it. */
int cache_open(void);

/* Whether a file there is the user's own, with none of these bits for others in its mode. */
bool cache_is_ours(const struct stat *st, mode_t others);

#endif
