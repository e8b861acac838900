/* kvm_routes.c: KVM's table of interrupt routes, and the irqfds that use it.
 *
 * Linux Documentation/virt/kvm/api.rst, KVM_SET_GSI_ROUTING and KVM_IRQFD. An irqfd raises a GSI,
 * and the VM's one table says where that leads. GSIs below kvm_arch_pins are the interrupt
 * controller's pins; from there on each is a message that an eventfd sends. KVM takes the table
 * only as a whole, and after a grace period; so it gets a new one only when a message is new.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "kvm.h"

/* On x86 an I/O APIC's and an 8259's. */
#define ROUTES_A_PIN 2U

/* Room for all pins and n messages. */
static int reserve(struct hv_vm *vm, uint32_t n)
{
	struct kvm_routes *routes = &vm->routes;
	struct kvm_irq_routing *table;
	size_t size = sizeof(*table) +
		      (ROUTES_A_PIN * (size_t)kvm_arch_pins(vm) + n) * sizeof(table->entries[0]);

	table = realloc(routes->table, size);
	if (!table)
		return -ENOMEM;
	routes->table = table;
	return 0;
}

int kvm_routes_init(struct hv_vm *vm)
{
	return reserve(vm, 0);
}

void kvm_routes_free(struct hv_vm *vm)
{
	free(vm->routes.bound);
	free(vm->routes.table);
}

int kvm_routes_set(struct hv_vm *vm)
{
	struct kvm_routes *routes = &vm->routes;
	struct kvm_irq_routing_entry *entries = routes->table->entries;
	uint32_t n = kvm_arch_pin_routes(vm, entries);

	for (uint32_t i = 0; i < routes->n; i++) {
		if (routes->bound[i].fd < 0 ||
		    !kvm_arch_message_route(vm, &routes->bound[i], &entries[n]))
			continue;
		entries[n++].gsi = kvm_arch_pins(vm) + i;
	}
	routes->table->nr = n;
	routes->table->flags = 0;
	return ioctl(vm->fd, KVM_SET_GSI_ROUTING, routes->table) ? -errno : 0;
}

/* ---- irqfds -------------------------------------------------------------------------------- */

static int set_irqfd(const struct hv_vm *vm, uint32_t gsi, int fd, uint32_t flags)
{
	struct kvm_irqfd irqfd = { .fd = (uint32_t)fd, .gsi = gsi, .flags = flags };

	return ioctl(vm->fd, KVM_IRQFD, &irqfd) ? -errno : 0;
}

int kvm_irqfd(struct hv_vm *vm, unsigned line, int fd, struct err *err)
{
	int ret = set_irqfd(vm, line, fd, 0);

	return ret ? err_errno(err, -ret, STATUS_OSERR, "KVM refuses an irqfd on line %u", line)
		   : 0;
}

/* The index of the message that fd sends, or of a free one for -1; routes->n if there is none. */
static uint32_t find(const struct kvm_routes *routes, int fd)
{
	uint32_t i = 0;

	while (i < routes->n && routes->bound[i].fd != fd)
		i++;
	return i;
}

static int grow(struct hv_vm *vm)
{
	struct kvm_routes *routes = &vm->routes;
	struct kvm_message *bound = realloc(routes->bound, (routes->n + 1) * sizeof(*bound));

	if (bound)
		routes->bound = bound;
	if (!bound || reserve(vm, routes->n + 1))
		return -ENOMEM;
	bound[routes->n++].fd = -1;
	return 0;
}

static int bind_message(struct hv_vm *vm, const struct kvm_message *message)
{
	struct kvm_routes *routes = &vm->routes;
	uint32_t i = find(routes, message->fd);
	bool new = i == routes->n;
	struct kvm_message old;
	int ret = 0;

	if (new) {
		i = find(routes, -1);
		if (i == routes->n)
			ret = grow(vm);
		if (ret)
			return ret;
	}
	old = routes->bound[i];
	if (!new &&old.addr == message->addr &&
	    old.data == message->data &&old.device == message->device)
		return 0;
	routes->bound[i] = *message;
	/* The route comes first, lest a signal leads to the GSI's last owner. */
	ret = kvm_routes_set(vm);
	if (!ret && new)
		ret = set_irqfd(vm, kvm_arch_pins(vm) + i, message->fd, 0);
	if (ret)
		routes->bound[i] = old;
	return ret;
}

/* Its route stays behind, where nothing leads to it. */
static int unbind(struct hv_vm *vm, int fd)
{
	struct kvm_routes *routes = &vm->routes;
	uint32_t i = find(routes, fd);

	if (i == routes->n)
		return 0;
	routes->bound[i].fd = -1;
	return set_irqfd(vm, kvm_arch_pins(vm) + i, fd, KVM_IRQFD_FLAG_DEASSIGN);
}

int kvm_msi_irqfd(struct hv_vm *vm, int fd, uint64_t addr, uint32_t data, uint32_t device, bool on,
		  struct err *err)
{
	const struct kvm_message message = { fd, addr, data, device };
	int ret;

	if (vm->config.irqchip == HV_IRQCHIP_NONE)
		return err_set(err, ENOTSUP, STATUS_CONFIG,
			       "messages need an interrupt controller");
	pthread_mutex_lock(&vm->routes.lock);
	ret = on ? bind_message(vm, &message) : unbind(vm, fd);
	pthread_mutex_unlock(&vm->routes.lock);
	if (ret)
		return err_errno(err, -ret, STATUS_OSERR, "KVM refuses to %s an interrupt message",
				 on ? "bind" : "unbind");
	return 0;
}
