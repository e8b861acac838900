/* absent_macos.c: VFIO is Linux's; see src/host/absent_macos.c. */
#include <errno.h>

#include "vfio.h"

void vfio_examine(const struct plan *plan, const struct plan_device *dev, struct findings *findings)
{
	(void)plan;
	(void)dev;
	(void)findings;
}

int vfio_create(struct device *dev, struct err *err)
{
	(void)dev;
	return err_set(err, ENOTSUP, STATUS_UNAVAILABLE, "VFIO exists on Linux hosts only");
}

void vfio_destroy(struct device *dev)
{
	(void)dev;
}

void vfio_reset(struct device *dev)
{
	(void)dev;
}
