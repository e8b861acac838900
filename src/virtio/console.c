/* console.c: virtio-console: VIRTIO 5.3.
 *
 * Its first port is a console of the guest's, hvc0 of Linux, on the VM's standard input and output
 * or wherever `to` leads; further `ports` lead to files, sockets and terminals of the host, and
 * take the feature MULTIPORT, which a device without them doesn't offer.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vibevmm/bytes.h>
#include <vibevmm/event.h>
#include <vibevmm/log.h>

#include "console.h"

struct line_config {
	char *name;
	bool console;
	struct wire_config to;
};

struct virtio_console_config {
	VIRTIO_MEMBERS;
	bool input;
	struct wire_config to;
	struct config_maps ports;
};

/* 5.3.4 */
enum { CONFIG_COLS = 0, CONFIG_ROWS = 2, CONFIG_PORTS = 4, CONFIG_EMERG_WR = 8 };

/* ---- Lines --------------------------------------------------------------------------------- */

/* 5.3.2: the control queues are behind the first port's. */
struct console_line *console_line_of(struct virtio_queue *q)
{
	struct virtio_console *console = virtio_queue_device(q)->state;
	unsigned index = virtio_queue_index(q);

	return &console->lines[index < CONSOLE_CONTROL_RX ? 0 : index / 2 - 1];
}

bool console_line_there(struct console_line *line)
{
	return !line->wire || wire_connected(line->wire);
}

static void happened(void *arg)
{
	const struct virtio_console *console = arg;

	event_ring(console->event);
}

static bool input_came(void *arg)
{
	happened(arg);
	return true;
}

static void on_event(void *arg, uint32_t events)
{
	struct virtio_console *console = arg;

	(void)events;
	event_heard(console->event);
	for (unsigned i = 0; i < console->n_lines; i++)
		console_line_resume(&console->lines[i]);
}

/* The driver of several ports expects a message instead: VIRTIO 5.3.6.2. */
static void on_resize(void *arg, uint32_t events)
{
	struct virtio_console *console = arg;

	(void)events;
	if (virtio_has(console->v, CONSOLE_F_MULTIPORT))
		console_control_resize(&console->lines[0]);
	else
		virtio_config_changed(console->v);
}

/* ---- Config -------------------------------------------------------------------------------- */

static void config_read(struct virtio *v)
{
	struct virtio_console *console = v->state;
	uint16_t cols, rows;

	if (!(v->features >> CONSOLE_F_SIZE & 1) ||
	    !console_size(v->dev->host->console, &cols, &rows))
		return;
	bytes_put16(console->config + CONFIG_COLS, cols);
	bytes_put16(console->config + CONFIG_ROWS, rows);
}

/* The rest can't be written: it becomes again what it was. */
static void config_write(struct virtio *v, unsigned offset, unsigned size)
{
	struct virtio_console *console = v->state;
	struct console_line *first = &console->lines[0];
	const uint8_t *byte = console->config + CONFIG_EMERG_WR;

	if (offset <= CONFIG_EMERG_WR && offset + size > CONFIG_EMERG_WR) {
		if (first->wire)
			wire_put(first->wire, byte, 1);
		else
			console_write(v->dev->host->console, byte, 1);
		device_said(v->dev, 0, !first->wire, byte, 1);
	}
	memset(console->config, 0, sizeof(console->config));
	bytes_put32(console->config + CONFIG_PORTS, console->n_lines);
	config_read(v);
}

/* ---- Start and stop ------------------------------------------------------------------------ */

static int add_queue(struct virtio_console *console, struct virtio_worker *worker, unsigned index,
		     virtio_queue_fn fn)
{
	return virtio_worker_queue(worker, virtio_queue(console->v, index), fn);
}

static int add_queues(struct virtio_console *console)
{
	bool multiport = virtio_has(console->v, CONSOLE_F_MULTIPORT);
	unsigned n = multiport ? console->n_lines : 1;
	int ret = 0;

	for (unsigned i = 0; i < n && !ret; i++) {
		struct console_line *line = &console->lines[i];
		unsigned rx = i ? 2 * i + 2 : 0;

		line->sent = 0;
		line->pending = 0;
		line->ready = false;
		line->open = !multiport;
		line->told = false;
		ret = add_queue(console, console->worker, rx, console_line_fill);
		if (!ret)
			ret = add_queue(console, line->wire ? console->worker : console->talker,
					rx + 1, console_line_take);
	}
	if (multiport && !ret)
		ret = add_queue(console, console->worker, CONSOLE_CONTROL_RX, console_control_fill);
	if (multiport && !ret)
		ret = add_queue(console, console->worker, CONSOLE_CONTROL_TX, console_control_take);
	return ret;
}

/* Before that, nothing reads the VM's standard input. */
static void listen_to_input(struct virtio_console *console)
{
	struct virtio *v = console->v;
	int ret;

	if (!console->input || console->listening || !virtio_queue_ready(virtio_queue(v, 0)))
		return;
	ret = console_listen(v->dev->host->console, input_came, console);
	if (ret)
		log_error("%s: can't read the console input: %s", v->dev->plan->label,
			  strerror(-ret));
	console->listening = !ret;
}

static void stop(struct virtio *v)
{
	struct virtio_console *console = v->state;

	atomic_store(&console->stops, true);
	virtio_worker_free(console->talker);
	virtio_worker_free(console->worker);
	console->worker = console->talker = NULL;
}

static int start(struct virtio *v)
{
	struct virtio_console *console = v->state;
	bool talks = !console->lines[0].wire;
	int ret;

	atomic_store(&console->stops, false);
	console->worker = virtio_worker_new(v);
	console->talker = talks ? virtio_worker_new(v) : NULL;
	ret = console->worker && !talks == !console->talker ? add_queues(console) : -ENOMEM;
	if (!ret)
		ret = virtio_worker_watch(console->worker, console->event, EVENT_IN, on_event,
					  console);
	if (!ret && virtio_has(v, CONSOLE_F_SIZE) && terminal_size_event() >= 0)
		ret = virtio_worker_watch(console->worker, terminal_size_event(),
					  EVENT_IN | EVENT_EDGE, on_resize, console);
	if (!ret) {
		listen_to_input(console);
		happened(console); /* what came before */
		ret = virtio_worker_run(console->worker);
	}
	if (!ret && talks)
		ret = virtio_worker_run(console->talker);
	if (ret) {
		log_error("%s: can't start: %s", v->dev->plan->label, strerror(-ret));
		stop(v);
	}
	return ret;
}

/* ---- Life ---------------------------------------------------------------------------------- */

static void close_lines(struct virtio_console *console)
{
	for (unsigned i = 0; i < console->n_lines; i++)
		wire_free(console->lines[i].wire);
	if (console->event >= 0)
		close(console->event);
	free(console);
}

static void destroy(struct virtio *v)
{
	close_lines(v->state);
}

static int open_line(struct console_line *line, const struct wire_config *to, struct err *err)
{
	const char *label = line->console->v->dev->plan->label;
	char name[128];
	int ret;

	if (!wire_configured(to))
		return 0;
	line->log = line->tty && to->file;
	snprintf(name, sizeof(name), "%s%s%s", label, line->name ? ": " : "",
		 line->name ? line->name : "");
	ret = wire_new(&line->wire, to, name, err);
	if (!ret) {
		ret = device_line(line->console->v->dev, line->id, line->wire);
		if (!ret)
			ret = wire_listen(line->wire, happened, line->console);
		if (ret)
			err_errno(err, -ret, STATUS_OSERR, "%s", name);
	}
	return ret;
}

static int open_lines(struct virtio_console *console, struct err *err)
{
	const struct virtio_console_config *options = console->v->dev->options;
	const struct line_config *more = options->ports.list;
	int ret;

	console->event = event_bell();
	if (console->event < 0)
		return err_errno(err, -console->event, STATUS_OSERR, "%s",
				 console->v->dev->plan->label);
	console->lines[0] = (struct console_line){ .console = console, .tty = true };
	for (unsigned i = 1; i < console->n_lines; i++)
		console->lines[i] = (struct console_line){
			.console = console,
			.id = i,
			.name = more[i - 1].name,
			.tty = more[i - 1].console,
		};
	ret = open_line(&console->lines[0], &options->to, err);
	for (unsigned i = 1; i < console->n_lines && !ret; i++)
		ret = open_line(&console->lines[i], &more[i - 1].to, err);
	return ret;
}

static int create(struct virtio *v, struct err *err)
{
	const struct virtio_console_config *options = v->dev->options;
	unsigned n = 1 + options->ports.n;
	struct virtio_console *console;
	uint16_t cols, rows;
	int ret;

	console = calloc(1, sizeof(*console) + n * sizeof(console->lines[0]));
	if (!console)
		return err_errno(err, ENOMEM, STATUS_OSERR, "%s", v->dev->plan->label);
	console->v = v;
	console->n_lines = n;
	console->input = device_claim_connected(v->dev, device_claim(v->dev, "input"));
	ret = open_lines(console, err);
	if (ret) {
		close_lines(console);
		return ret;
	}
	v->state = console;
	v->features = 1 << CONSOLE_F_EMERG_WRITE;
	if (n > 1)
		v->features |= 1 << CONSOLE_F_MULTIPORT;
	if (!console->lines[0].wire && console_size(v->dev->host->console, &cols, &rows))
		v->features |= 1 << CONSOLE_F_SIZE;
	v->n_queues = n > 1 ? 2 * n + 2 : 2;
	v->queue_size = CONSOLE_QUEUE_SIZE;
	v->config = console->config;
	v->config_len = sizeof(console->config);
	config_write(v, 0, 0);
	return 0;
}

static const struct virtio_type type = {
	.id = 3,
	.pci_class = 0x078000,
	.create = create,
	.destroy = destroy,
	.start = start,
	.stop = stop,
	.config_read = config_read,
	.config_write = config_write,
};

static int device_create_console(struct device *dev, struct err *err)
{
	return virtio_create(dev, &type, err);
}

/* ---- The row ------------------------------------------------------------------------------- */

static void check_ports(const struct virtio_console_config *config, const struct node *ports,
			struct diags *diags)
{
	const struct line_config *more = config->ports.list;

	if (config->ports.n > CONSOLE_MORE_PORTS) {
		diag_error(diags, ports->key_mark,
			   "%u ports are more than the %d that there can be", config->ports.n,
			   CONSOLE_MORE_PORTS);
		diag_help(diags, "spread them over two devices");
		return;
	}
	for (uint32_t i = 0; i < config->ports.n; i++) {
		const struct node *entry = ports->children[i];

		device_wire_check(&more[i].to, node_get(entry, "to"), NULL, diags);
		for (uint32_t k = 0; k < i; k++) {
			if (strcmp(more[i].name, more[k].name) != 0)
				continue;
			diag_error(diags, node_get(entry, "name")->mark,
				   "two ports have the name '%s'", more[i].name);
			diag_note(diags, node_get(ports->children[k], "name")->mark,
				  "the other one is here");
			diag_help(diags, "programs in the guest find a port by its name: choose "
					 "another");
			break;
		}
	}
}

static void check(const void *options, const struct node *node, struct diags *diags)
{
	const struct virtio_console_config *config = options;

	virtio_check(options, node, diags);
	device_wire_check(&config->to, node_get(node, "to"), node_get(node, "input"), diags);
	check_ports(config, node_get(node, "ports"), diags);
}

static const struct option line_options[] = {
	OPTION(struct line_config, name, OPTION_STRING, .required = true, .min = 1, .max = 64,
	       .doc = "By which programs in the guest find it, under /dev/virtio-ports on Linux"),
	OPTION(struct line_config, console, OPTION_BOOL,
	       .doc = "Whether the guest makes it a further console: hvc1 and so on"),
	OPTION(struct line_config, to, OPTION_MAP, .type = &device_wire_type, .required = true,
	       .doc = "Its other end"),
	{ 0 },
};

static const struct config_type line_type = {
	.name = "port",
	.doc = "One more port of a virtio-console",
	.options = line_options,
	.size = sizeof(struct line_config),
};

static const struct option options[] = {
	VIRTIO_OPTIONS(struct virtio_console_config),
	OPTION(struct virtio_console_config, input, OPTION_BOOL, .def = "true", .planned = true,
	       .doc = "Whether it may read the VM's standard input"),
	OPTION(struct virtio_console_config, to, OPTION_MAP, .type = &device_wire_type,
	       .planned = true,
	       .doc = "The console's other end, if not the VM's standard input and output"),
	OPTION(struct virtio_console_config, ports, OPTION_MAPS, .type = &line_type,
	       .doc = "Further ports, for programs in the guest or as further consoles"),
	{ 0 },
};

static const struct claim claims[] = {
	VIRTIO_CLAIMS,
	{ .name = "input", .space = SPACE_INPUT, .size = 1, .fix = "input", .unless = "to" },
	{ 0 },
};

const struct device_row device_virtio_console = {
	.type = {
		.name = "virtio-console",
		.doc = "Console (hvc0 of Linux), and ports between programs in the guest and on the host",
		.options = options,
		.size = sizeof(struct virtio_console_config),
	},
	VIRTIO_ROW_OWN(claims, check),
	.console = true,
	.create = device_create_console,
};
