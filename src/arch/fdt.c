/* fdt.c: the device tree of an arm64 machine, from the plan and the devices' rows.
 *
 * "DTSpec" is the Devicetree Specification 0.4. What it leaves to bindings is in Linux's
 * Documentation/devicetree/bindings, named where it is used.
 */
#include <assert.h>
#include <errno.h>
#include <libfdt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <vibevmm/bytes.h>

#include "fdt.h"

/* Nodes that others refer to (DTSpec 2.3.3); those of the processors come last. */
enum { PHANDLE_GIC = 1, PHANDLE_ITS, PHANDLE_CLOCK, PHANDLE_GPIO, PHANDLE_CPU };

/* interrupt-controller/arm,gic.yaml, "#interrupt-cells". */
enum { IRQ_SPI, IRQ_PPI, IRQ_LEVEL_HIGH = 4 };

/* ---- Writing ------------------------------------------------------------------------------- */

/* A tree that is being written. After the first failure nothing is added any more. */
struct writer {
	void *tree;
	int ret; /* of libfdt */
};

static void took(struct writer *w, int ret)
{
	if (!w->ret)
		w->ret = ret;
}

static void begin(struct writer *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void begin(struct writer *w, const char *fmt, ...)
{
	char name[64];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	took(w, w->ret ? w->ret : fdt_begin_node(w->tree, name));
}

static void end(struct writer *w)
{
	took(w, w->ret ? w->ret : fdt_end_node(w->tree));
}

static void put_bytes(struct writer *w, const char *name, const void *bytes, size_t len)
{
	took(w, w->ret ? w->ret : fdt_property(w->tree, name, bytes, (int)len));
}

static void put_text(struct writer *w, const char *name, const char *text)
{
	put_bytes(w, name, text, strlen(text) + 1);
}

static void put_flag(struct writer *w, const char *name)
{
	put_bytes(w, name, NULL, 0);
}

static void put_cell(struct writer *w, const char *name, uint32_t value)
{
	took(w, w->ret ? w->ret : fdt_property_u32(w->tree, name, value));
}

#define MAX_CELLS 16

static void put_cells(struct writer *w, const char *name, const uint32_t *values, size_t n)
{
	fdt32_t cells[MAX_CELLS];

	assert(n <= MAX_CELLS);
	for (size_t i = 0; i < n; i++)
		cells[i] = cpu_to_fdt32(values[i]);
	put_bytes(w, name, cells, n * sizeof(*cells));
}

/* Addresses and sizes have two cells each, here and in the root. */
static void put_reg(struct writer *w, const uint64_t *values, size_t n)
{
	fdt64_t pairs[MAX_CELLS];

	assert(n <= MAX_CELLS);
	for (size_t i = 0; i < n; i++)
		pairs[i] = cpu_to_fdt64(values[i]);
	put_bytes(w, "reg", pairs, n * sizeof(*pairs));
}

static void put_sizes(struct writer *w, uint32_t address_cells, uint32_t size_cells)
{
	put_cell(w, "#address-cells", address_cells);
	put_cell(w, "#size-cells", size_cells);
}

/* A list of strings: up to three, each with its NUL. */
static void put_texts(struct writer *w, const char *name, const char *const texts[3])
{
	char list[128];
	size_t len = 0;

	for (size_t i = 0; i < 3 && texts[i]; i++) {
		size_t size = strlen(texts[i]) + 1;

		if (size > sizeof(list) - len)
			break;
		memcpy(list + len, texts[i], size);
		len += size;
	}
	put_bytes(w, name, list, len);
}

/* ---- Processors ------------------------------------------------------------------------------ */

/* cpu/cpu-topology.txt, 2. A socket has one cluster. */
static void add_cpu_map(struct writer *w, const struct hv_topology *t)
{
	unsigned cpu = 0;

	begin(w, "cpu-map");
	for (unsigned socket = 0; socket < t->sockets; socket++) {
		begin(w, "socket%u", socket);
		begin(w, "cluster0");
		for (unsigned core = 0; core < t->cores; core++) {
			begin(w, "core%u", core);
			for (unsigned thread = 0; thread < t->threads; thread++) {
				if (t->threads > 1)
					begin(w, "thread%u", thread);
				put_cell(w, "cpu", PHANDLE_CPU + cpu++);
				if (t->threads > 1)
					end(w);
			}
			end(w);
		}
		end(w);
		end(w);
	}
	end(w);
}

/* DTSpec 3.7 and 3.8, arm/cpus.yaml. */
static void add_cpus(struct writer *w, const struct plan *plan)
{
	static const char *const psci[3] = { "arm,psci-1.0", "arm,psci-0.2" }; /* arm/psci.yaml */

	begin(w, "cpus");
	put_sizes(w, 1, 0);
	add_cpu_map(w, &plan->topology);
	for (unsigned i = 0; i < plan->config->vcpus; i++) {
		uint32_t affinity = hv_arm64_affinity(i);

		begin(w, "cpu@%x", affinity);
		put_text(w, "device_type", "cpu");
		put_text(w, "compatible", "arm,armv8");
		put_cell(w, "reg", affinity);
		put_text(w, "enable-method", "psci");
		put_cell(w, "phandle", PHANDLE_CPU + i);
		end(w);
	}
	end(w);
	begin(w, "psci");
	put_texts(w, "compatible", psci);
	put_text(w, "method", "hvc");
	end(w);
}

/* timer/arm,arch_timer.yaml: lines that Arm BSA (DEN0094), "PPI assignments", gives the secure, the
 * non-secure, the virtual and the hypervisor's timer. */
static void add_timer(struct writer *w)
{
	static const uint32_t interrupts[] = {
		IRQ_PPI, 13, IRQ_LEVEL_HIGH, IRQ_PPI, 14, IRQ_LEVEL_HIGH,
		IRQ_PPI, 11, IRQ_LEVEL_HIGH, IRQ_PPI, 10, IRQ_LEVEL_HIGH,
	};

	begin(w, "timer");
	put_text(w, "compatible", "arm,armv8-timer");
	put_cells(w, "interrupts", interrupts, ARRAY_SIZE(interrupts));
	put_flag(w, "always-on");
	end(w);
}

/* arm/pmu.yaml */
static void add_pmu(struct writer *w)
{
	static const uint32_t interrupt[] = { IRQ_PPI, HV_ARM64_PMU_PPI, IRQ_LEVEL_HIGH };

	begin(w, "pmu");
	put_text(w, "compatible", "arm,armv8-pmuv3");
	put_cells(w, "interrupts", interrupt, ARRAY_SIZE(interrupt));
	end(w);
}

/* ---- Interrupt controller -------------------------------------------------------------------- */

/* interrupt-controller/arm,gic-v3.yaml, "msi-controller". */
static void add_its(struct writer *w, uint64_t at)
{
	const uint64_t reg[] = { at, HV_GIC_ITS_SIZE };

	begin(w, "msi-controller@%llx", (unsigned long long)at);
	put_text(w, "compatible", "arm,gic-v3-its");
	put_flag(w, "msi-controller");
	put_cell(w, "#msi-cells", 1);
	put_reg(w, reg, ARRAY_SIZE(reg));
	put_cell(w, "phandle", PHANDLE_ITS);
	end(w);
}

/* interrupt-controller/arm,gic-v3.yaml and arm,gic.yaml. */
static void add_gic(struct writer *w, const struct plan *plan)
{
	const struct hv_gic_config *gic = &plan->gic;
	const uint64_t v2[] = { gic->dist, HV_GICV2_DIST_SIZE, gic->cpu, HV_GICV2_CPU_SIZE };
	const uint64_t v3[] = { gic->dist, HV_GICV3_DIST_SIZE, gic->redist,
				(uint64_t)plan->config->vcpus * HV_GIC_REDIST_SIZE };

	begin(w, "interrupt-controller@%llx", (unsigned long long)gic->dist);
	put_text(w, "compatible", gic->version == HV_GIC_V3 ? "arm,gic-v3" : "arm,gic-400");
	put_cell(w, "#interrupt-cells", 3);
	put_flag(w, "interrupt-controller");
	put_reg(w, gic->version == HV_GIC_V3 ? v3 : v2, 4);
	put_cell(w, "phandle", PHANDLE_GIC);
	if (gic->its) {
		put_sizes(w, 2, 2);
		put_flag(w, "ranges");
		add_its(w, gic->its);
	} else {
		put_cell(w, "#address-cells", 0);
	}
	end(w);
}

/* ---- Devices --------------------------------------------------------------------------------- */

/* arm/primecell.yaml: bus clock "apb_pclk"; a serial port has one of its own before that
 * (serial/pl011.yaml). */
static void put_clocks(struct writer *w, bool serial)
{
	static const uint32_t clocks[] = { PHANDLE_CLOCK, PHANDLE_CLOCK };
	static const char *const names[] = { "uartclk", "apb_pclk", NULL, NULL };

	put_cells(w, "clocks", clocks, serial ? 2 : 1);
	put_texts(w, "clock-names", serial ? names : names + 1);
}

static bool is_primecell(const struct device_description *describe)
{
	for (size_t i = 0; i < ARRAY_SIZE(describe->compatible) && describe->compatible[i]; i++) {
		if (!strcmp(describe->compatible[i], "arm,primecell"))
			return true;
	}
	return false;
}

static void put_interrupts(struct writer *w, const struct plan_device *dev)
{
	uint32_t cells[MAX_CELLS];
	size_t n = 0;

	for (unsigned i = 0; i < dev->n_claims && n + 3 <= MAX_CELLS; i++) {
		const struct plan_claim *claim = &dev->claims[i];

		if (claim->claim->space != SPACE_IRQ || !claim->connected)
			continue;
		cells[n++] = IRQ_SPI;
		cells[n++] = (uint32_t)claim->start;
		cells[n++] = IRQ_LEVEL_HIGH;
	}
	if (n)
		put_cells(w, "interrupts", cells, n);
}

/* gpio/pl061-gpio.yaml; and input/gpio-keys.yaml: line 3 of the controller is the power button. */
static void put_gpio(struct writer *w)
{
	put_flag(w, "gpio-controller");
	put_cell(w, "#gpio-cells", 2);
	put_cell(w, "phandle", PHANDLE_GPIO);
}

static void add_power_button(struct writer *w)
{
	static const uint32_t gpios[] = { PHANDLE_GPIO, 3, 0 };

	begin(w, "gpio-keys");
	put_text(w, "compatible", "gpio-keys");
	begin(w, "power-button");
	put_text(w, "label", "Power Button");
	put_cell(w, "linux,code", 116); /* KEY_POWER of linux/input-event-codes.h */
	put_cells(w, "gpios", gpios, ARRAY_SIZE(gpios));
	end(w);
	end(w);
}

/* Whether it has a node, and where its registers are. */
static bool is_described(const struct plan_device *dev, const struct plan_claim **registers)
{
	*registers = plan_device_claim(dev, SPACE_MEM);
	return dev->row->describe && dev->row->describe->compatible[0] && *registers;
}

static void add_device(struct writer *w, const struct plan_device *dev)
{
	const struct device_description *describe = dev->row->describe;
	const struct plan_claim *registers;
	uint64_t reg[2];

	if (!is_described(dev, &registers))
		return;
	reg[0] = registers->start;
	reg[1] = registers->size;
	begin(w, "%s@%llx", describe->node, (unsigned long long)registers->start);
	put_texts(w, "compatible", describe->compatible);
	put_reg(w, reg, ARRAY_SIZE(reg));
	put_interrupts(w, dev);
	if (is_primecell(describe))
		put_clocks(w, describe->role == ROLE_SERIAL);
	for (const struct device_property *p = describe->properties; p && p->name; p++)
		put_cell(w, p->name, p->value);
	if (describe->role == ROLE_POWER)
		put_gpio(w);
	end(w);
	if (describe->role == ROLE_POWER)
		add_power_button(w);
}

/* clock/fixed-clock.yaml: the devices' clocks are as fast as they like. */
static void add_clock(struct writer *w)
{
	begin(w, "apb-pclk");
	put_text(w, "compatible", "fixed-clock");
	put_cell(w, "#clock-cells", 0);
	put_cell(w, "clock-frequency", 24000000);
	put_cell(w, "phandle", PHANDLE_CLOCK);
	end(w);
}

/* ---- The whole ------------------------------------------------------------------------------- */

/* DTSpec 3.6: the console is the first serial port. */
static void add_chosen(struct writer *w, const struct plan *plan)
{
	begin(w, "chosen");
	for (size_t i = 0; i < plan->n_devices; i++) {
		const struct plan_device *dev = &plan->devices[i];
		const struct plan_claim *registers;
		char path[64];

		if (!is_described(dev, &registers) || dev->row->describe->role != ROLE_SERIAL)
			continue;
		snprintf(path, sizeof(path), "/%s@%llx", dev->row->describe->node,
			 (unsigned long long)registers->start);
		put_text(w, "stdout-path", path);
		break;
	}
	end(w);
}

/* DTSpec 3.4 and 3.5: all RAM, and what of it has a use already. */
static void add_memory(struct writer *w, const struct plan *plan)
{
	bool reserved = false;

	for (size_t i = 0; i < plan->n_regions; i++) {
		const struct plan_region *r = &plan->regions[i];
		const uint64_t reg[] = { r->start, r->last - r->start + 1 };

		reserved |= r->kind == REGION_TABLES;
		if (r->space != SPACE_MEM || r->kind != REGION_RAM)
			continue;
		begin(w, "memory@%llx", (unsigned long long)r->start);
		put_text(w, "device_type", "memory");
		put_reg(w, reg, ARRAY_SIZE(reg));
		end(w);
	}
	if (!reserved)
		return;
	begin(w, "reserved-memory");
	put_sizes(w, 2, 2);
	put_flag(w, "ranges");
	for (size_t i = 0; i < plan->n_regions; i++) {
		const struct plan_region *r = &plan->regions[i];
		const uint64_t reg[] = { r->start, r->last - r->start + 1 };

		if (r->kind != REGION_TABLES)
			continue;
		begin(w, "tables@%llx", (unsigned long long)r->start);
		put_reg(w, reg, ARRAY_SIZE(reg));
		end(w);
	}
	end(w);
}

static int write_tree(const struct plan *plan, void *tree, size_t size)
{
	struct writer w = { .tree = tree, .ret = fdt_create(tree, (int)size) };

	took(&w, w.ret ? w.ret : fdt_finish_reservemap(tree));
	begin(&w, "%s", "");
	put_text(&w, "compatible", "linux,dummy-virt"); /* arm/linux,dummy-virt.yaml */
	put_text(&w, "model", "vibevmm");
	put_sizes(&w, 2, 2);
	if (plan->gic.version)
		put_cell(&w, "interrupt-parent", PHANDLE_GIC);
	add_chosen(&w, plan);
	add_memory(&w, plan);
	add_cpus(&w, plan);
	if (plan->gic.version) {
		add_timer(&w);
		if (plan->config->platform.pmu)
			add_pmu(&w);
		add_gic(&w, plan);
	}
	add_clock(&w);
	for (size_t i = 0; i < plan->n_devices; i++)
		add_device(&w, &plan->devices[i]);
	end(&w);
	took(&w, w.ret ? w.ret : fdt_finish(tree));
	return w.ret;
}

/* In errno's terms. */
static int from_libfdt(int ret)
{
	return ret == -FDT_ERR_NOSPACE ? -E2BIG : ret < 0 ? -EINVAL : 0;
}

/* How large it gets is found by trying. */
int fdt_tree_build(const struct plan *plan, void **tree, size_t *len)
{
	int ret = -E2BIG;

	for (size_t size = 16UL << 10; ret == -E2BIG && size <= FDT_TREE_MAX; size *= 2) {
		void *bytes = malloc(size);

		if (!bytes)
			return -ENOMEM;
		ret = from_libfdt(write_tree(plan, bytes, size));
		if (ret) {
			free(bytes);
			continue;
		}
		*tree = bytes;
		*len = fdt_totalsize(bytes);
	}
	return ret;
}

int fdt_tree_check(const void *bytes, size_t len)
{
	return from_libfdt(fdt_check_full(bytes, len));
}

/* ---- Changes to a tree ----------------------------------------------------------------------- */

struct property {
	const char *name;
	const void *value;
	size_t len;
};

/* A copy with these properties in /chosen. */
static int add_properties(const void *tree, const struct property *properties, size_t n, void **out,
			  size_t *len)
{
	size_t size = fdt_totalsize(tree) + 256; /* alignment, and /chosen itself */
	void *copy;
	int ret, chosen;

	for (size_t i = 0; i < n; i++)
		size += properties[i].len + strlen(properties[i].name) + 32;
	copy = malloc(size);
	if (!copy)
		return -ENOMEM;
	ret = fdt_open_into(tree, copy, (int)size);
	chosen = ret ? ret : fdt_path_offset(copy, "/chosen");
	if (chosen == -FDT_ERR_NOTFOUND)
		chosen = fdt_add_subnode(copy, 0, "chosen");
	ret = chosen < 0 ? chosen : 0;
	for (size_t i = 0; i < n && !ret; i++)
		ret = fdt_setprop(copy, chosen, properties[i].name, properties[i].value,
				  (int)properties[i].len);
	if (!ret)
		ret = fdt_pack(copy);
	ret = from_libfdt(ret);
	if (!ret && fdt_totalsize(copy) > FDT_TREE_MAX)
		ret = -E2BIG;
	if (ret) {
		free(copy);
		return ret;
	}
	*len = fdt_totalsize(copy);
	*out = copy;
	return 0;
}

int fdt_tree_chosen(const struct plan *plan, const void *tree, void **copy, size_t *len)
{
	const struct plan_tables *tables = &plan->tables;
	fdt64_t start = cpu_to_fdt64(tables->initrd);
	fdt64_t stop = cpu_to_fdt64(tables->initrd + tables->initrd_size);
	struct property properties[3];
	size_t n = 0;

	if (tables->cmdline)
		properties[n++] = (struct property){ "bootargs", tables->cmdline,
						     strlen(tables->cmdline) + 1 };
	if (tables->initrd_size) {
		properties[n++] = (struct property){ "linux,initrd-start", &start, sizeof(start) };
		properties[n++] = (struct property){ "linux,initrd-end", &stop, sizeof(stop) };
	}
	return add_properties(tree, properties, n, copy, len);
}

/* DTSpec 3.6, rng-seed, and chosen.yaml, kaslr-seed. Where the host has no random numbers yet, as
 * early after its own start, the guest does without rather than wait. */
int fdt_tree_seeds(const void *tree, void **copy, size_t *len)
{
	uint8_t rng[64], kaslr[8];
	const struct property properties[] = { { "kaslr-seed", kaslr, sizeof(kaslr) },
					       { "rng-seed", rng, sizeof(rng) } };
	size_t n = ARRAY_SIZE(properties);

	if (getrandom(rng, sizeof(rng), GRND_NONBLOCK) != (ssize_t)sizeof(rng) ||
	    getrandom(kaslr, sizeof(kaslr), GRND_NONBLOCK) != (ssize_t)sizeof(kaslr))
		n = 0;
	return add_properties(tree, properties, n, copy, len);
}
