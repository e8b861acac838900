/* registry.c: the table of device types. */
#include <vibevmm/bytes.h>
#include <vibevmm/device.h>

#define DEVICE(name) extern const struct device_row device_##name;
#include "devices.def"
#undef DEVICE

static const struct device_row *const rows[] = {
#define DEVICE(name) &device_##name,
#include "devices.def"
#undef DEVICE
};

const struct device_row *const *device_rows(size_t *n)
{
	*n = ARRAY_SIZE(rows);
	return rows;
}
