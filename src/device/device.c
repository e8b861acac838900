/* device.c: making devices, and what they share. */
#include <errno.h>
#include <string.h>

#include <vibevmm/diag.h>
#include <vibevmm/log.h>

#include "common.h"

int device_create(struct device *dev, const struct plan_device *plan, struct device_host *host,
		  struct err *err)
{
	int ret;

	*dev = (struct device){
		.row = plan->row, .options = plan->choice->options, .plan = plan, .host = host
	};
	ret = pthread_mutex_init(&dev->lock, NULL);
	if (ret)
		return err_errno(err, ret, STATUS_OSERR, "%s", plan->label);
	ret = dev->row->create(dev, err);
	if (ret)
		pthread_mutex_destroy(&dev->lock);
	return ret;
}

void device_destroy(struct device *dev)
{
	dev->row->destroy(dev);
	pthread_mutex_destroy(&dev->lock);
}

void device_keep(struct device *dev, void *what, void (*drop)(void *what))
{
	if (dev->host->kept)
		*dev->host->kept(dev->host, dev) = (struct device_kept){ what, drop };
	else
		drop(what);
}

void *device_kept(struct device *dev)
{
	struct device_kept *kept = dev->host->kept ? dev->host->kept(dev->host, dev) : NULL;
	void *what = kept ? kept->what : NULL;

	if (what)
		*kept = (struct device_kept){ 0 };
	return what;
}

int device_claim(const struct device *dev, const char *name)
{
	for (unsigned i = 0; i < dev->plan->n_claims; i++) {
		if (!strcmp(dev->plan->claims[i].claim->name, name))
			return (int)dev->plan->claims[i].index;
	}
	return -1;
}

const struct plan_claim *device_place(const struct device *dev, unsigned claim)
{
	for (unsigned i = 0; i < dev->plan->n_claims; i++) {
		if (dev->plan->claims[i].index == claim)
			return &dev->plan->claims[i];
	}
	return NULL;
}

bool device_claim_connected(const struct device *dev, int claim)
{
	const struct plan_claim *place = claim < 0 ? NULL : device_place(dev, (unsigned)claim);

	return place && place->connected;
}

void device_irq_set(struct device *dev, int claim, bool level)
{
	if (device_claim_connected(dev, claim))
		dev->host->irq_set(dev->host, dev, (unsigned)claim, level);
}

int device_create_nothing(struct device *dev, struct err *err)
{
	(void)dev;
	(void)err;
	return 0;
}

void device_nothing(struct device *dev)
{
	(void)dev;
}

uint64_t device_read_nothing(struct device *dev, unsigned claim, uint64_t offset, unsigned size)
{
	(void)dev;
	(void)claim;
	(void)offset;
	(void)size;
	return 0;
}

void device_check_place(const struct node *node, struct diags *diags)
{
	const struct node *port = node_given(node, "port"), *at = node_given(node, "at");

	if (!port || !at)
		return;
	diag_error(
		diags, at->key_mark,
		"'at' and 'port' exclude each other: the registers are at an address or at ports");
	diag_note(diags, port->key_mark, "'port' is here");
	diag_help(diags, "remove one of the two");
}

void device_input_init(struct device *dev, struct device_input *input)
{
	*input = (struct device_input){
		.asleep = device_claim_connected(dev, device_claim(dev, "input")),
	};
}

static bool never_mind(void *arg)
{
	(void)arg;
	return true;
}

void device_input_wake(struct device *dev, struct device_input *input, console_ready_fn ready,
		       void *arg)
{
	int ret;

	if (!input->asleep)
		return;
	input->asleep = false;
	input->awake = true;
	ret = console_listen(dev->host->console, ready ? ready : never_mind, arg);
	if (ret)
		log_error("%s: can't read the console input: %s", dev->plan->label, strerror(-ret));
}

int device_input_get(struct device *dev, const struct device_input *input)
{
	return input->awake ? console_get(dev->host->console) : -1;
}

bool device_input_waits(struct device *dev, const struct device_input *input)
{
	return input->awake && console_has_input(dev->host->console);
}
