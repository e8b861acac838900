/* host_linux.c: what a host must have for passthrough, as its /sys and /dev tell: a function that
 * is there, with an IOMMU, in a group that is free, bound to vfio-pci; and memory that may be
 * locked.
 *
 * Linux, Documentation/driver-api/vfio.rst, Documentation/ABI/testing/sysfs-bus-pci.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <vibevmm/finding.h>

#include "vfio.h"

const char *vfio_sys = "/sys", *vfio_dev = "/dev/vfio";

#define PATH 512

/* "/sys/bus/pci/devices/0000:01:00.0/WHAT" */
static const char *path_of(const char *function, const char *what, char buf[PATH])
{
	snprintf(buf, PATH, "%s/bus/pci/devices/%s/%s", vfio_sys, function, what);
	return buf;
}

/* The last part of what a link of a function leads to; "" if it isn't there. */
static const char *link_of(const char *function, const char *what, char buf[PATH])
{
	char path[PATH], *slash;
	ssize_t n = readlink(path_of(function, what, path), buf, PATH - 1);

	buf[n > 0 ? n : 0] = 0;
	slash = strrchr(buf, '/');
	if (slash)
		memmove(buf, slash + 1, strlen(slash));
	return buf;
}

/* vfio-pci, or one of its kin for certain devices: mlx5_vfio_pci. */
static bool is_vfio(const char *driver)
{
	return strstr(driver, "vfio") != NULL;
}

/* Class 0604: bridges between buses stay with the host, and are in nobody's way. */
static bool is_bridge(const char *function)
{
	char path[PATH], text[16] = "";
	FILE *file = fopen(path_of(function, "class", path), "re");

	if (file && !fgets(text, sizeof(text), file))
		text[0] = 0;
	if (file)
		fclose(file);
	return !strncmp(text, "0x0604", 6);
}

int vfio_group_of(const char *function)
{
	char group[PATH], *end;
	long number;

	if (!*link_of(function, "iommu_group", group))
		return -1;
	number = strtol(group, &end, 10);
	return *end || number < 0 || number > INT32_MAX ? -1 : (int)number;
}

/* ---- Point by point: each is true, or has added what is missing ----------------------------- */

struct examined {
	const char *function;
	struct mark mark;
	struct findings *findings;
	char subject[48];
};

#define MISSING(e, ...)                                                                            \
	finding_add((e)->findings, FINDING_MISSING, (e)->mark, (e)->subject, __VA_ARGS__)

/* What gives a function to vfio-pci. */
static void bind_command(const struct examined *e, const char *function, bool has_driver)
{
	char unbind[PATH] = "";

	if (has_driver)
		snprintf(unbind, sizeof(unbind), " echo %s >devices/%s/driver/unbind;", function,
			 function);
	finding_command(e->findings,
			"sudo sh -c 'modprobe vfio-pci; cd /sys/bus/pci; echo vfio-pci "
			">devices/%s/driver_override;%s echo %s >drivers_probe'",
			function, unbind, function);
}

static bool is_there(const struct examined *e)
{
	char path[PATH];

	if (access(path_of(e->function, "", path), F_OK)) {
		MISSING(e, "this host has no PCI function %s", e->function);
		finding_command(e->findings, "lspci -D");
	} else if (is_bridge(e->function)) {
		MISSING(e, "%s is a bridge, which can't be passed through; what is behind it can",
			e->function);
		finding_command(e->findings, "lspci -D -t");
	} else {
		return true;
	}
	return false;
}

/* Some IOMMU is at work on this host. */
static bool any_iommu(void)
{
	const struct dirent *entry;
	char path[PATH];
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/class/iommu", vfio_sys);
	dir = opendir(path);
	while (dir && !found && (entry = readdir(dir)))
		found = entry->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return found;
}

/* Where a device tree tells of the IOMMU, a function is in a group from its first driver on. */
static bool has_iommu(const struct examined *e)
{
	char driver[PATH];

	if (vfio_group_of(e->function) >= 0 ||
	    (!*link_of(e->function, "driver", driver) && any_iommu()))
		return true;
	MISSING(e,
		"nothing keeps %s from memory that isn't the guest's: this host's IOMMU is off. "
		"Switch it on in the firmware's set-up (VT-d, AMD-Vi, SMMU), and on Intel "
		"processors start Linux with intel_iommu=on",
		e->function);
	return false;
}

static bool is_bound(const struct examined *e)
{
	char driver[PATH];

	link_of(e->function, "driver", driver);
	if (is_vfio(driver))
		return true;
	if (*driver)
		MISSING(e,
			"%s is used by this host's driver %.40s; bound to vfio-pci, it is free for "
			"guests and gone from the host",
			e->function, driver);
	else
		MISSING(e, "%s has no driver here; it must be bound to vfio-pci", e->function);
	bind_command(e, e->function, *driver);
	return false;
}

/* Functions that the IOMMU can't tell apart go together, or stay together. */
static bool is_alone(const struct examined *e)
{
	char path[PATH], driver[PATH], others[200] = "", one[24] = "";
	DIR *dir = opendir(path_of(e->function, "iommu_group/devices", path));
	const struct dirent *entry;
	size_t used = 0;

	while (dir && (entry = readdir(dir))) {
		const char *name = entry->d_name;

		if (*name == '.' || strlen(name) >= sizeof(one))
			continue;
		link_of(name, "driver", driver);
		if (!*driver || is_vfio(driver) || !strcmp(driver, "pci-stub") || is_bridge(name))
			continue;
		if (!used || strcmp(name, one) < 0)
			snprintf(one, sizeof(one), "%.23s", name);
		if (used < sizeof(others))
			used += (size_t)snprintf(others + used, sizeof(others) - used,
						 "%s%s (%.40s)", used ? ", " : "", name, driver);
	}
	if (dir)
		closedir(dir);
	if (!used)
		return true;
	MISSING(e,
		"%s shares IOMMU group %d with what this host's drivers use: %s; bind that to "
		"vfio-pci as well",
		e->function, vfio_group_of(e->function), others);
	bind_command(e, one, true);
	return false;
}

static bool can_open(const struct examined *e)
{
	const char *user = "\"u:$USER:rw\"";
	char group[PATH], all[PATH];

	snprintf(all, sizeof(all), "%s/vfio", vfio_dev);
	snprintf(group, sizeof(group), "%s/%d", vfio_dev, vfio_group_of(e->function));
	for (int i = 0; i < 2; i++) {
		const char *path = i ? group : all;

		int error = faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS) ? errno : 0;

		if (!error)
			continue;
		MISSING(e, "%s, for %s: %s", path, e->function, strerror(error));
		if (error == EACCES || error == EPERM)
			finding_command(e->findings, "sudo setfacl -m %s %s", user, path);
		else
			finding_command(e->findings, "sudo modprobe vfio_iommu_type1");
		return false;
	}
	return true;
}

/* The kernel counts for everybody without CAP_IPC_LOCK. */
static void may_lock(const struct examined *e, uint64_t ram)
{
	char want[24], have[24] = "no limit";
	struct rlimit limit;
	bool enough;

	if (getrlimit(RLIMIT_MEMLOCK, &limit))
		return;
	enough = !geteuid() || limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= ram;
	if (geteuid() && limit.rlim_cur != RLIM_INFINITY)
		config_size_rough(limit.rlim_cur, have, sizeof(have));
	config_size_rough(ram, want, sizeof(want));
	finding_add(e->findings, enough ? FINDING_OK : FINDING_MISSING, e->mark, e->subject,
		    "passthrough locks all RAM of the guest, %s; the limit of locked memory: %s",
		    want, have);
	if (!enough)
		finding_command(e->findings, "sudo prlimit --pid $$ --memlock=unlimited");
}

void vfio_examine(const struct plan *plan, const struct plan_device *dev, struct findings *findings)
{
	const struct vfio_pci_config *config = dev->choice->options;
	struct examined e = { .function = config->host,
			      .mark = node_get(dev->choice->node, "host")->mark,
			      .findings = findings };

	snprintf(e.subject, sizeof(e.subject), "%s", dev->label);
	if (!is_there(&e) || !has_iommu(&e) || !is_bound(&e) || !is_alone(&e) || !can_open(&e))
		return;
	finding_add(findings, FINDING_OK, e.mark, e.subject,
		    "%s is free for guests, IOMMU group %d", e.function, vfio_group_of(e.function));
	may_lock(&e, plan->ram_size);
}
