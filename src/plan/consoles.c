/* consoles.c: what the guest talks on. */
#include <string.h>

#include "planner.h"

/* ---- The consoles of a VM -------------------------------------------------------------------- */

/* A line of a device whose options are in `map`. A file gives nothing back. */
static void fill(struct plan_console *console, const struct plan_device *dev, unsigned port,
		 const struct node *map)
{
	const struct node *to = node_given(map, "to");
	const struct node *name = port ? node_get(map, "name") : NULL;

	*console = (struct plan_console){ .device = dev, .port = port, .standard = !to };
	if (to)
		console->deaf = node_given(to, "file");
	else
		console->deaf = !plan_device_claim(dev, SPACE_INPUT) ||
				!plan_device_claim(dev, SPACE_INPUT)->connected;
	snprintf(console->name, sizeof(console->name), "%s%s%s", dev->label, port ? "." : "",
		 name && name->canon ? name->canon : "");
}

/* Somebody listens to standard input. */
static bool has_input(const struct plan *plan)
{
	for (size_t i = 0; i < plan->n_devices; i++) {
		const struct plan_claim *claim = plan_device_claim(&plan->devices[i], SPACE_INPUT);

		if (claim && claim->connected)
			return true;
	}
	return false;
}

bool plan_console(const struct plan *plan, size_t i, struct plan_console *console)
{
	if (!i--) {
		*console = (struct plan_console){ .standard = true, .deaf = !has_input(plan) };
		return true;
	}
	for (size_t d = 0; d < plan->n_devices; d++) {
		const struct plan_device *dev = &plan->devices[d];
		const struct node *map = dev->choice->node, *ports = node_given(map, "ports");
		size_t n = ports ? ports->n_children : 0;

		if (!dev->row->console)
			continue;
		if (i <= n) {
			fill(console, dev, (unsigned)i, i ? ports->children[i - 1] : map);
			return true;
		}
		i -= n + 1;
	}
	return false;
}
