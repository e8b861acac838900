/* watch.c: the machine's side of a watch: what the guest says, typing to it, when to look again.
 */
#include <errno.h>
#include <stdlib.h>

#include "machine_private.h"

/* A line of a device that leads to a wire. */
struct line {
	const struct plan_device *device;
	unsigned port;
	struct wire *wire;
};

static void said(struct device_host *host, struct device *dev, unsigned port, bool standard,
		 const void *buf, size_t len)
{
	struct machine *m = machine_of(host);
	const struct machine_watch *watch = m->options.watch;

	if (m->panic_words && !port) /* further ones are for programs, which may say anything */
		panic_said(m, dev, buf, len);
	if (watch && len)
		watch->said(watch->arg, dev->plan, port, standard, buf, len);
}

static int add_line(struct device_host *host, struct device *dev, unsigned port, struct wire *wire)
{
	struct machine *m = machine_of(host);
	struct line *lines;
	int ret = -ENOMEM;

	pthread_mutex_lock(&m->lines_lock);
	lines = realloc(m->lines, (m->n_lines + 1) * sizeof(*lines));
	if (lines) {
		lines[m->n_lines++] = (struct line){ dev->plan, port, wire };
		m->lines = lines;
		wire_follow(wire);
		ret = 0;
	}
	pthread_mutex_unlock(&m->lines_lock);
	return ret;
}

void watch_drop_lines(struct machine *m)
{
	pthread_mutex_lock(&m->lines_lock);
	free(m->lines);
	m->lines = NULL;
	m->n_lines = 0;
	pthread_mutex_unlock(&m->lines_lock);
}

size_t machine_type(struct machine *m, const struct plan_device *device, unsigned port,
		    const void *buf, size_t len)
{
	size_t taken = 0;

	pthread_mutex_lock(&m->lines_lock);
	for (size_t i = 0; i < m->n_lines; i++) {
		if (m->lines[i].device == device && m->lines[i].port == port)
			taken = wire_type(m->lines[i].wire, buf, len);
	}
	pthread_mutex_unlock(&m->lines_lock);
	return taken;
}

int machine_wake(struct machine *m, uint64_t at)
{
	return loop_timer_set(m->loop, &m->watch_timer, at);
}

void watch_init(struct machine *m)
{
	const struct machine_watch *watch = m->options.watch;

	if (watch || m->panic_words)
		m->host.said = said;
	if (!watch)
		return;
	m->watch_timer = (struct loop_timer){ .fn = watch->due, .arg = watch->arg };
	m->host.line = add_line;
}
