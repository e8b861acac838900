/* boot.c: the list of boot formats. */
#include <vibevmm/boot.h>
#include <vibevmm/bytes.h>

#define BOOT(name) extern const struct boot_row boot_##name;
#include "boots.def"
#undef BOOT

static const struct boot_row *const rows[] = {
#define BOOT(name) &boot_##name,
#include "boots.def"
#undef BOOT
};

const struct boot_row *const *boot_rows(size_t *n)
{
	*n = ARRAY_SIZE(rows);
	return rows;
}
