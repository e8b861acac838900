/* rows.c: what the rows of all virtio devices share: their places, and how the guest finds them. */
#include "core.h"

const char *const virtio_transport_words[] = {
	[VIRTIO_PCI] = "pci",
	[VIRTIO_MMIO] = "mmio",
	NULL,
};

const struct claim virtio_claims[] = {
	/* In the order of VIRTIO_CLAIM_... */
	VIRTIO_CLAIMS,
	{ 0 },
};

/* Linux: Documentation/devicetree/bindings/virtio/mmio.yaml, drivers/virtio/virtio_mmio.c. */
const struct device_description virtio_description = {
	.hid = "LNRO0005",
	.compatible = { "virtio,mmio" },
	.node = "virtio",
};

static void check_place(const struct node *node, const char *key, const char *needs,
			struct diags *diags)
{
	const struct node *place = node_given(node, key);
	const struct node *transport = node_given(node, "transport");

	if (!place)
		return;
	diag_error(diags, place->key_mark, "'%s' is for `transport: %s` alone", key, needs);
	if (transport)
		diag_note(diags, transport->key_mark, "another transport is chosen here");
	diag_help(diags, "remove '%s', or write `transport: %s`", key, needs);
}

void virtio_check(const void *options, const struct node *node, struct diags *diags)
{
	const struct {
		VIRTIO_MEMBERS;
	} *common = options;

	if (common->transport == VIRTIO_MMIO) {
		check_place(node, "slot", "pci", diags);
	} else {
		check_place(node, "at", "mmio", diags);
		check_place(node, "irq", "mmio", diags);
	}
}
