/* fdt.c: the device tree of an arm64 machine, from the plan and the devices' rows.
 *
 * "DTSpec" is the Devicetree Specification 0.4. What it leaves to bindings is in Linux's
 * Documentation/devicetree/bindings, named where it is used.
 */
#include <errno.h>
#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <vibevmm/bytes.h>

#include "dt.h"
#include "fdt.h"
#include "fdt_pci.h"

/* ---- Processors ------------------------------------------------------------------------------ */

/* cpu/cpu-topology.txt, 2. A socket has one cluster. */
static void add_cpu_map(struct dt_writer *w, const struct hv_topology *t)
{
	unsigned cpu = 0;

	dt_begin(w, "cpu-map");
	for (unsigned socket = 0; socket < t->sockets; socket++) {
		dt_begin(w, "socket%u", socket);
		dt_begin(w, "cluster0");
		for (unsigned core = 0; core < t->cores; core++) {
			dt_begin(w, "core%u", core);
			for (unsigned thread = 0; thread < t->threads; thread++) {
				if (t->threads > 1)
					dt_begin(w, "thread%u", thread);
				dt_cell(w, "cpu", PHANDLE_CPU + cpu++);
				if (t->threads > 1)
					dt_end(w);
			}
			dt_end(w);
		}
		dt_end(w);
		dt_end(w);
	}
	dt_end(w);
}

/* DTSpec 3.7 and 3.8, arm/cpus.yaml. */
static void add_cpus(struct dt_writer *w, const struct plan *plan)
{
	static const char *const psci[3] = { "arm,psci-1.0", "arm,psci-0.2" }; /* arm/psci.yaml */

	dt_begin(w, "cpus");
	dt_sizes(w, 1, 0);
	add_cpu_map(w, &plan->topology);
	for (unsigned i = 0; i < plan->config->vcpus; i++) {
		uint32_t affinity = hv_arm64_affinity(i);

		dt_begin(w, "cpu@%x", affinity);
		dt_text(w, "device_type", "cpu");
		dt_text(w, "compatible", "arm,armv8");
		dt_cell(w, "reg", affinity);
		dt_text(w, "enable-method", "psci");
		dt_cell(w, "phandle", PHANDLE_CPU + i);
		dt_end(w);
	}
	dt_end(w);
	dt_begin(w, "psci");
	dt_texts(w, "compatible", psci);
	dt_text(w, "method", "hvc");
	dt_end(w);
}

/* timer/arm,arch_timer.yaml: lines that Arm BSA (DEN0094), "PPI assignments", gives the secure, the
 * non-secure, the virtual and the hypervisor's timer. */
static void add_timer(struct dt_writer *w)
{
	static const uint32_t interrupts[] = {
		IRQ_PPI, 13, IRQ_LEVEL_HIGH, IRQ_PPI, 14, IRQ_LEVEL_HIGH,
		IRQ_PPI, 11, IRQ_LEVEL_HIGH, IRQ_PPI, 10, IRQ_LEVEL_HIGH,
	};

	dt_begin(w, "timer");
	dt_text(w, "compatible", "arm,armv8-timer");
	dt_cells(w, "interrupts", interrupts, ARRAY_SIZE(interrupts));
	dt_flag(w, "always-on");
	dt_end(w);
}

/* arm/pmu.yaml */
static void add_pmu(struct dt_writer *w)
{
	static const uint32_t interrupt[] = { IRQ_PPI, HV_ARM64_PMU_PPI, IRQ_LEVEL_HIGH };

	dt_begin(w, "pmu");
	dt_text(w, "compatible", "arm,armv8-pmuv3");
	dt_cells(w, "interrupts", interrupt, ARRAY_SIZE(interrupt));
	dt_end(w);
}

/* ---- Interrupt controller -------------------------------------------------------------------- */

/* interrupt-controller/arm,gic-v3.yaml, "msi-controller". */
static void add_its(struct dt_writer *w, uint64_t at)
{
	const uint64_t reg[] = { at, HV_GIC_ITS_SIZE };

	dt_begin(w, "msi-controller@%llx", (unsigned long long)at);
	dt_text(w, "compatible", "arm,gic-v3-its");
	dt_flag(w, "msi-controller");
	dt_cell(w, "#msi-cells", 1);
	dt_reg(w, reg, ARRAY_SIZE(reg));
	dt_cell(w, "phandle", PHANDLE_ITS);
	dt_end(w);
}

/* interrupt-controller/arm,gic.yaml, "v2m". The lines are in its registers. */
static void add_frame(struct dt_writer *w, const struct plan_claim *registers)
{
	const uint64_t reg[] = { registers->start, registers->size };

	dt_begin(w, "v2m@%llx", (unsigned long long)registers->start);
	dt_text(w, "compatible", "arm,gic-v2m-frame");
	dt_flag(w, "msi-controller");
	dt_reg(w, reg, ARRAY_SIZE(reg));
	dt_cell(w, "phandle", PHANDLE_FRAME);
	dt_end(w);
}

/* "#address-cells" of the interrupt controller. */
static unsigned gic_address_cells(const struct hv_gic_config *gic)
{
	return gic->its || gic->frame ? 2 : 0;
}

static void put_gic_reg(struct dt_writer *w, const struct hv_gic_config *gic, uint64_t vcpus)
{
	const uint64_t v2[] = { gic->dist, HV_GICV2_DIST_SIZE, gic->cpu, HV_GICV2_CPU_SIZE };
	uint64_t first = gic->redist_room ? gic->redist_room : vcpus;
	const uint64_t v3[] = {
		gic->dist,	  HV_GICV3_DIST_SIZE,
		gic->redist,	  first * HV_GIC_REDIST_SIZE,
		gic->redist_more, (vcpus - first) * HV_GIC_REDIST_SIZE,
	};

	if (gic->version == HV_GIC_V2) {
		dt_reg(w, v2, ARRAY_SIZE(v2));
		return;
	}
	if (gic->redist_more)
		dt_cell(w, "#redistributor-regions", 2);
	dt_reg(w, v3, gic->redist_more ? 6 : 4);
}

/* interrupt-controller/arm,gic-v3.yaml and arm,gic.yaml. */
static void add_gic(struct dt_writer *w, const struct plan *plan)
{
	const struct hv_gic_config *gic = &plan->gic;

	dt_begin(w, "interrupt-controller@%llx", (unsigned long long)gic->dist);
	dt_text(w, "compatible", gic->version == HV_GIC_V3 ? "arm,gic-v3" : "arm,gic-400");
	dt_cell(w, "#interrupt-cells", 3);
	dt_flag(w, "interrupt-controller");
	put_gic_reg(w, gic, plan->config->vcpus);
	dt_cell(w, "phandle", PHANDLE_GIC);
	if (gic_address_cells(gic)) {
		dt_sizes(w, 2, 2);
		dt_flag(w, "ranges");
	} else {
		dt_cell(w, "#address-cells", 0);
	}
	if (gic->its)
		add_its(w, gic->its);
	if (gic->frame)
		add_frame(w, plan_device_claim(plan_find_role(plan, ROLE_MSI), SPACE_MEM));
	dt_end(w);
}

/* ---- Devices --------------------------------------------------------------------------------- */

/* arm/primecell.yaml: bus clock "apb_pclk"; a serial port has one of its own before that
 * (serial/pl011.yaml). */
static void put_clocks(struct dt_writer *w, bool serial)
{
	static const uint32_t clocks[] = { PHANDLE_CLOCK, PHANDLE_CLOCK };
	static const char *const names[] = { "uartclk", "apb_pclk", NULL, NULL };

	dt_cells(w, "clocks", clocks, serial ? 2 : 1);
	dt_texts(w, "clock-names", serial ? names : names + 1);
}

static bool is_compatible(const struct device_description *describe, const char *with)
{
	for (size_t i = 0; i < ARRAY_SIZE(describe->compatible) && describe->compatible[i]; i++) {
		if (!strcmp(describe->compatible[i], with))
			return true;
	}
	return false;
}

static void put_interrupts(struct dt_writer *w, const struct plan_device *dev)
{
	uint32_t cells[DT_MAX_CELLS];
	size_t n = 0;

	for (unsigned i = 0; i < dev->n_claims && n + 3 <= DT_MAX_CELLS; i++) {
		const struct plan_claim *claim = &dev->claims[i];

		if (claim->claim->space != SPACE_IRQ || !claim->connected)
			continue;
		cells[n++] = IRQ_SPI;
		cells[n++] = (uint32_t)claim->start;
		cells[n++] = IRQ_LEVEL_HIGH;
	}
	if (n)
		dt_cells(w, "interrupts", cells, n);
}

/* gpio/pl061-gpio.yaml; and input/gpio-keys.yaml: line 3 of the controller is the power button. */
static void put_gpio(struct dt_writer *w)
{
	dt_flag(w, "gpio-controller");
	dt_cell(w, "#gpio-cells", 2);
	dt_cell(w, "phandle", PHANDLE_GPIO);
}

static void add_power_button(struct dt_writer *w)
{
	static const uint32_t gpios[] = { PHANDLE_GPIO, 3, 0 };

	dt_begin(w, "gpio-keys");
	dt_text(w, "compatible", "gpio-keys");
	dt_begin(w, "power-button");
	dt_text(w, "label", "Power Button");
	dt_cell(w, "linux,code", 116); /* KEY_POWER of linux/input-event-codes.h */
	dt_cells(w, "gpios", gpios, ARRAY_SIZE(gpios));
	dt_end(w);
	dt_end(w);
}

/* Whether it has a node, and where its registers are. */
static bool is_described(const struct plan_device *dev, const struct plan_claim **registers)
{
	*registers = plan_device_claim(dev, SPACE_MEM);
	return dev->row->describe && dev->row->describe->compatible[0] && *registers;
}

static void add_device(struct dt_writer *w, const struct plan_device *dev)
{
	const struct device_description *describe = dev->row->describe;
	const struct plan_claim *registers;
	uint64_t reg[2];

	if (!is_described(dev, &registers) || describe->role == ROLE_PCI)
		return;
	reg[0] = registers->start;
	reg[1] = registers->size;
	dt_begin(w, "%s@%llx", describe->node, (unsigned long long)registers->start);
	dt_texts(w, "compatible", describe->compatible);
	dt_reg(w, reg, ARRAY_SIZE(reg));
	put_interrupts(w, dev);
	if (is_compatible(describe, "arm,primecell"))
		put_clocks(w, describe->role == ROLE_SERIAL);
	if (is_compatible(describe, "virtio,mmio")) /* virtio/mmio.yaml: it does DMA */
		dt_flag(w, "dma-coherent");
	for (const struct device_property *p = describe->properties; p && p->name; p++)
		dt_cell(w, p->name, p->value);
	if (describe->role == ROLE_POWER)
		put_gpio(w);
	dt_end(w);
	if (describe->role == ROLE_POWER)
		add_power_button(w);
}

/* clock/fixed-clock.yaml: the devices' clocks are as fast as they like. */
static void add_clock(struct dt_writer *w)
{
	dt_begin(w, "apb-pclk");
	dt_text(w, "compatible", "fixed-clock");
	dt_cell(w, "#clock-cells", 0);
	dt_cell(w, "clock-frequency", 24000000);
	dt_cell(w, "phandle", PHANDLE_CLOCK);
	dt_end(w);
}

/* ---- The whole ------------------------------------------------------------------------------- */

/* DTSpec 3.6: the console is the first serial port. */
static void add_chosen(struct dt_writer *w, const struct plan *plan)
{
	dt_begin(w, "chosen");
	for (size_t i = 0; i < plan->n_devices; i++) {
		const struct plan_device *dev = &plan->devices[i];
		const struct plan_claim *registers;
		char path[64];

		if (!is_described(dev, &registers) || dev->row->describe->role != ROLE_SERIAL)
			continue;
		snprintf(path, sizeof(path), "/%s@%llx", dev->row->describe->node,
			 (unsigned long long)registers->start);
		dt_text(w, "stdout-path", path);
		break;
	}
	dt_end(w);
}

/* DTSpec 3.4 and 3.5: all RAM, and what of it has a use already. */
static void add_memory(struct dt_writer *w, const struct plan *plan)
{
	bool reserved = false;

	for (size_t i = 0; i < plan->n_regions; i++) {
		const struct plan_region *r = &plan->regions[i];
		const uint64_t reg[] = { r->start, r->last - r->start + 1 };

		reserved |= r->kind == REGION_TABLES;
		if (r->space != SPACE_MEM || r->kind != REGION_RAM)
			continue;
		dt_begin(w, "memory@%llx", (unsigned long long)r->start);
		dt_text(w, "device_type", "memory");
		dt_reg(w, reg, ARRAY_SIZE(reg));
		dt_end(w);
	}
	if (!reserved)
		return;
	dt_begin(w, "reserved-memory");
	dt_sizes(w, 2, 2);
	dt_flag(w, "ranges");
	for (size_t i = 0; i < plan->n_regions; i++) {
		const struct plan_region *r = &plan->regions[i];
		const uint64_t reg[] = { r->start, r->last - r->start + 1 };

		if (r->kind != REGION_TABLES)
			continue;
		dt_begin(w, "tables@%llx", (unsigned long long)r->start);
		dt_reg(w, reg, ARRAY_SIZE(reg));
		dt_end(w);
	}
	dt_end(w);
}

static int write_tree(const struct plan *plan, void *tree, size_t size)
{
	struct dt_writer w = { .tree = tree, .ret = fdt_create(tree, (int)size) };
	const struct plan_device *bridge = plan_find_role(plan, ROLE_PCI);

	dt_took(&w, w.ret ? w.ret : fdt_finish_reservemap(tree));
	dt_begin(&w, "%s", "");
	dt_text(&w, "compatible", "linux,dummy-virt"); /* arm/linux,dummy-virt.yaml */
	dt_text(&w, "model", "vibevmm");
	dt_sizes(&w, 2, 2);
	if (plan->gic.version)
		dt_cell(&w, "interrupt-parent", PHANDLE_GIC);
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
	if (bridge)
		fdt_pci_add(&w, plan, bridge, gic_address_cells(&plan->gic));
	dt_end(&w);
	dt_took(&w, w.ret ? w.ret : fdt_finish(tree));
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
