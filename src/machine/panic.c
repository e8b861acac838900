/* panic.c: a kernel that panics and has no device to say so, says it on its console and resets: to
 * us a reset like any other, but no good end. */
#include <errno.h>
#include <stdlib.h>

#include "machine_private.h"

int panic_init(struct machine *m, struct err *err)
{
	const struct plan *plan = m->plan;

	m->panic_words = plan->registry->boots[plan->config->boot->index]->panic;
	if (!m->panic_words)
		return 0;
	m->panic_heard = calloc(plan->n_devices + 1, sizeof(*m->panic_heard));
	return m->panic_heard ? 0 : err_errno(err, ENOMEM, STATUS_OSERR, "machine");
}

/* How far the words have come, by device: consoles may say the same at the same time. Their first
 * letter occurs in them once, so that after a mismatch nothing but it can begin them anew. */
void panic_said(struct machine *m, const struct device *dev, const uint8_t *p, size_t len)
{
	atomic_uchar *heard = &m->panic_heard[dev - m->devices];
	const char *words = m->panic_words;
	uint8_t at = atomic_load(heard); /* never behind the words, whoever else is here */

	for (size_t i = 0; i < len; i++) {
		if (p[i] != (uint8_t)words[at])
			at = 0;
		if (p[i] == (uint8_t)words[at])
			at++;
		if (words[at])
			continue;
		atomic_store(&m->panicked, true);
		at = 0;
	}
	atomic_store(heard, at);
}
