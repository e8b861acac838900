/* boot.h: the boot formats: what turns an image file into guest memory and an entry point.
 *
 * A format is one `struct boot_row` (registry.h) in its own file and one line in
 * src/boot/boots.def. Image files are hostile input: every offset and length in them is checked
 * before it is used.
 */
#ifndef VIBEVMM_BOOT_H
#define VIBEVMM_BOOT_H

#include <vibevmm/registry.h>

/* All rows of boots.def. */
const struct boot_row *const *boot_rows(size_t *n);

#endif
