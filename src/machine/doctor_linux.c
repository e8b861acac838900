/* doctor_linux.c: what a Linux host has for VMs. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "machine_private.h"

static const char *const tun_device = "/dev/net/tun";

/* ---- Reading /proc and /sys ---------------------------------------------------------------- */

/* The first line, or as much as fits; "" if it can't be read. */
static const char *first_line(const char *path, char *buf, size_t len)
{
	FILE *file = fopen(path, "re");

	if (!file || !fgets(buf, (int)len, file))
		buf[0] = 0;
	buf[strcspn(buf, "\n")] = 0;
	if (file)
		fclose(file);
	return buf;
}

/* The number behind "KEY:" of /proc/meminfo, as it stands there. */
static uint64_t meminfo(const char *key)
{
	FILE *file = fopen("/proc/meminfo", "re");
	size_t len = strlen(key);
	uint64_t value = 0;
	char line[128];

	while (file && fgets(line, sizeof(line), file)) {
		if (!strncmp(line, key, len) && line[len] == ':') {
			value = strtoull(line + len + 1, NULL, 10);
			break;
		}
	}
	if (file)
		fclose(file);
	return value;
}

/* Whether a word stands in the line of that name of /proc/cpuinfo ("flags"). */
static bool cpu_flag(const char *flag)
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	char *line = NULL;
	bool found = false;
	size_t cap = 0;

	while (file && getline(&line, &cap, file) > 0) {
		char *word, *rest = line;

		if (strncmp(line, "flags", 5) != 0)
			continue;
		while (!found && (word = strsep(&rest, " \t:\n")))
			found = !strcmp(word, flag);
		break; /* the other processors are the same */
	}
	free(line);
	if (file)
		fclose(file);
	return found;
}

/* Control Group v2 (Linux, Documentation/admin-guide/cgroup-v2.rst): the lowest memory.max, or
 * cpu.max in processors, of our group and those above it. UINT64_MAX: none. */
static uint64_t group_limit(const char *file)
{
	char line[512], path[640], buf[64];
	uint64_t limit = UINT64_MAX;
	char *end;

	if (strncmp(first_line("/proc/self/cgroup", line, sizeof(line)), "0::/", 4) != 0)
		return limit;
	for (;;) {
		snprintf(path, sizeof(path), "/sys/fs/cgroup%s/%s", line + 3, file);
		if (isdigit((unsigned char)*first_line(path, buf, sizeof(buf)))) {
			uint64_t max = strtoull(buf, &end, 10);
			uint64_t period =
				strtoull(end, NULL, 10); /* time is given as a part of it */

			if (period)
				max = max / period + (max % period != 0);
			limit = max < limit ? max : limit;
		}
		end = strrchr(line + 3, '/');
		if (!end || end[1] == 0)
			return limit;
		end[end == line + 3] = 0; /* "/a/b", "/a", "/" */
	}
}

/* A group's limit is worth asking for, which takes 40 us, only by guests of some size. */
#define ASK_GROUP (256ULL << 20)

uint64_t host_memory(uint64_t wanted)
{
	uint64_t total, limit;
	struct sysinfo info;

	if (sysinfo(&info))
		return 0;
	total = ((uint64_t)info.totalram + info.totalswap) * info.mem_unit;
	limit = wanted > ASK_GROUP ? group_limit("memory.max") : UINT64_MAX;
	return limit < total ? limit : total;
}

uint64_t machine_host_free(void)
{
	uint64_t available = meminfo("MemAvailable") * 1024, limit = group_limit("memory.max");

	return limit < available ? limit : available;
}

unsigned machine_host_cpus(void)
{
	uint64_t limit = group_limit("cpu.max");
	cpu_set_t set;
	long n;

	if (!sched_getaffinity(0, sizeof(set), &set))
		n = CPU_COUNT(&set);
	else
		n = sysconf(_SC_NPROCESSORS_ONLN);
	n = n > 0 ? n : 1;
	return limit < (uint64_t)n ? (unsigned)limit : (unsigned)n;
}

/* Linux, Documentation/mm/overcommit-accounting.rst. */
bool host_overcommits(void)
{
	char buf[16];

	return !strcmp(first_line("/proc/sys/vm/overcommit_memory", buf, sizeof(buf)), "1");
}

/* The module kvm_pvm runs user mode alone on the processor. On arm64 there is no such thing. */
bool host_runs_linux(void)
{
	return hv_host_arch() != ARCH_X86_64 ||
	       (access("/sys/module/kvm_pvm", F_OK) && (cpu_flag("vmx") || cpu_flag("svm")));
}

/* ---- The host, point by point -------------------------------------------------------------- */

static void check_kind(struct findings *findings)
{
	const char *nested =
		cpu_flag("hypervisor") ? "; this host is a VM itself, so guests are nested" : "";

	if (!access("/sys/module/kvm_pvm", F_OK))
		finding_add(findings, FINDING_WARNING, MARK_NONE, "virtualization",
			    "by software (PVM), slow and incomplete: small guests run, operating "
			    "systems may not");
	else if (!access("/sys/module/kvm_intel", F_OK))
		finding_add(findings, FINDING_OK, MARK_NONE, "virtualization",
			    "by hardware: VMX (kvm_intel)%s", nested);
	else if (!access("/sys/module/kvm_amd", F_OK))
		finding_add(findings, FINDING_OK, MARK_NONE, "virtualization",
			    "by hardware: SVM (kvm_amd)%s", nested);
	else if (cpu_flag("vmx") || cpu_flag("svm")) {
		finding_add(findings, FINDING_ABSENT, MARK_NONE, "virtualization",
			    "the processor has it; its KVM module is not loaded%s", nested);
		finding_command(findings, "sudo modprobe %s",
				cpu_flag("vmx") ? "kvm_intel" : "kvm_amd");
	} else if (hv_host_arch() == ARCH_X86_64) {
		finding_add(findings, FINDING_ABSENT, MARK_NONE, "virtualization",
			    "the processor shows neither VMX nor SVM: enable it in the firmware's "
			    "set-up, or nested virtualization in the VM that this is");
	}
}

static void check_ram(struct findings *findings)
{
	uint64_t swap = meminfo("SwapTotal") * 1024;
	char total[24], available[24], rest[24] = "no";

	config_size_rough(meminfo("MemTotal") * 1024, total, sizeof(total));
	config_size_rough(meminfo("MemAvailable") * 1024, available, sizeof(available));
	if (swap)
		config_size_rough(swap, rest, sizeof(rest));
	finding_add(findings, FINDING_OK, MARK_NONE, "memory",
		    "%s, of which %s are free; %s swap%s", total, available, rest,
		    host_overcommits() ? "; overcommitted without limit" : "");
}

static void check_group(struct findings *findings)
{
	uint64_t limit = group_limit("memory.max");
	char text[24];

	if (limit != UINT64_MAX)
		finding_add(findings, FINDING_WARNING, MARK_NONE, "control group",
			    "this process and its VMs may use %s of memory",
			    config_size_rough(limit, text, sizeof(text)));
}

static void check_huge_pages(struct findings *findings)
{
	static const char *const switch_file = "/sys/kernel/mm/transparent_hugepage/enabled";
	uint64_t total = meminfo("HugePages_Total"), size = meminfo("Hugepagesize") * 1024;
	char line[64], text[24];
	const char *mode = first_line(switch_file, line, sizeof(line));

	mode = strstr(mode, "[always]")	   ? "always"
	       : strstr(mode, "[madvise]") ? "where asked for"
					   : NULL;
	config_size_text(size, text, sizeof(text));
	if (mode) {
		finding_add(findings, FINDING_OK, MARK_NONE, "huge pages",
			    "transparent: %s; reserved: %llu of %s", mode,
			    (unsigned long long)total, text);
		return;
	}
	finding_add(findings, FINDING_ABSENT, MARK_NONE, "huge pages",
		    "transparent: never, so guests run slower; reserved: %llu of %s",
		    (unsigned long long)total, text);
	if (line[0])
		finding_command(findings, "echo madvise | sudo tee %s", switch_file);
}

static void check_locked(struct findings *findings)
{
	struct rlimit limit;
	char text[24];

	if (getrlimit(RLIMIT_MEMLOCK, &limit))
		return;
	if (limit.rlim_cur == RLIM_INFINITY || !geteuid()) {
		finding_add(findings, FINDING_OK, MARK_NONE, "locked memory", "no limit%s",
			    limit.rlim_cur == RLIM_INFINITY ? "" : " for root");
		return;
	}
	finding_add(findings, FINDING_ABSENT, MARK_NONE, "locked memory",
		    "at most %s; device passthrough locks all of a VM's RAM",
		    config_size_rough(limit.rlim_cur, text, sizeof(text)));
	finding_command(findings, "sudo prlimit --pid $$ --memlock=unlimited");
}

static void check_tun(struct findings *findings)
{
	int fd = open(tun_device, O_RDWR | O_CLOEXEC), errnum = errno;

	if (fd >= 0) {
		close(fd);
		finding_add(findings, FINDING_OK, MARK_NONE, tun_device, "can be opened");
		return;
	}
	finding_add(findings, FINDING_ABSENT, MARK_NONE, tun_device,
		    "%s; network devices on taps need it", strerror(errnum));
	if (errnum == EACCES || errnum == EPERM)
		finding_command(findings, "sudo setfacl -m \"u:$USER:rw\" %s", tun_device);
	else
		finding_command(findings, "sudo modprobe tun");
}

void machine_doctor_host(struct findings *findings)
{
	doctor_backends(findings);
	check_kind(findings);
	check_ram(findings);
	check_group(findings);
	check_huge_pages(findings);
	check_locked(findings);
	check_tun(findings);
	doctor_programs(findings);
}
