/* finding.c: collecting what a VM needs of its host. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <vibevmm/finding.h>

static struct finding *new_finding(struct findings *findings)
{
	if (findings->n == findings->cap) {
		size_t cap = findings->cap ? 2 * findings->cap : 16;
		struct finding *list = realloc(findings->list, cap * sizeof(*list));

		if (!list) {
			findings->failed = true;
			return NULL;
		}
		findings->list = list;
		findings->cap = cap;
	}
	return &findings->list[findings->n++];
}

void finding_add(struct findings *findings, enum finding_state state, struct mark mark,
		 const char *subject, const char *fmt, ...)
{
	struct finding *finding = new_finding(findings);
	va_list ap;

	if (!finding)
		return;
	finding->state = state;
	finding->mark = mark;
	finding->command[0] = 0;
	snprintf(finding->subject, sizeof(finding->subject), "%s", subject);
	va_start(ap, fmt);
	vsnprintf(finding->text, sizeof(finding->text), fmt, ap);
	va_end(ap);
}

void finding_command(struct findings *findings, const char *fmt, ...)
{
	struct finding *finding = findings->n ? &findings->list[findings->n - 1] : NULL;
	va_list ap;

	if (!finding || findings->failed)
		return;
	va_start(ap, fmt);
	vsnprintf(finding->command, sizeof(finding->command), fmt, ap);
	va_end(ap);
}

void findings_free(struct findings *findings)
{
	free(findings->list);
	*findings = (struct findings){ 0 };
}

const struct finding *findings_missing(const struct findings *findings)
{
	for (size_t i = 0; i < findings->n; i++) {
		if (findings->list[i].state == FINDING_MISSING)
			return &findings->list[i];
	}
	return NULL;
}
