/* lab_job.c: what the lab's program is told: a file of lines "key=value" that end with NULs.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <vibevmm/bytes.h>

#include "lab.h"

int lab_strings_add(struct lab_strings *strings, const char *text)
{
	char **list = realloc(strings->list, (strings->n + 1) * sizeof(*list));

	if (!list)
		return -ENOMEM;
	strings->list = list;
	list[strings->n] = strdup(text);
	if (!list[strings->n])
		return -ENOMEM;
	strings->n++;
	return 0;
}

void lab_strings_free(struct lab_strings *strings)
{
	for (size_t i = 0; i < strings->n; i++)
		free(strings->list[i]);
	free(strings->list);
	*strings = (struct lab_strings){ 0 };
}

void lab_job_free(struct lab_job *job)
{
	lab_strings_free(&job->env);
	lab_strings_free(&job->files);
	lab_strings_free(&job->cases);
	lab_strings_free(&job->changes);
	free((char *)job->options.worker);
	free(job->control);
	free(job->cwd);
	*job = (struct lab_job){ 0 };
}

/* One row for each key. */
enum kind { TEXT, LIST, UNSIGNED, NUMBER, BOOL, REAL };

static const struct row {
	const char *key;
	enum kind kind;
	size_t offset;
} rows[] = {
	{ "cwd", TEXT, offsetof(struct lab_job, cwd) },
	{ "control", TEXT, offsetof(struct lab_job, control) },
	{ "env", LIST, offsetof(struct lab_job, env) },
	{ "file", LIST, offsetof(struct lab_job, files) },
	{ "case", LIST, offsetof(struct lab_job, cases) },
	{ "change", LIST, offsetof(struct lab_job, changes) },
	{ "worker", TEXT, offsetof(struct lab_job, options.worker) },
	{ "jobs", UNSIGNED, offsetof(struct lab_job, options.jobs) },
	{ "memory", NUMBER, offsetof(struct lab_job, options.memory) },
	{ "retries", UNSIGNED, offsetof(struct lab_job, options.retries) },
	{ "repeat", UNSIGNED, offsetof(struct lab_job, options.repeat) },
	{ "fail_fast", BOOL, offsetof(struct lab_job, options.fail_fast) },
	{ "details", BOOL, offsetof(struct lab_job, options.details) },
	{ "scale", REAL, offsetof(struct lab_job, options.scale) },
};

static void write_row(const struct row *row, const void *member, FILE *out)
{
	const struct lab_strings *list = member;

	for (size_t i = 0; row->kind == LIST && i < list->n; i++)
		fprintf(out, "%s=%s%c", row->key, list->list[i], 0);
	if (row->kind == LIST)
		return;
	fprintf(out, "%s=", row->key);
	if (row->kind == TEXT)
		fputs(*(char *const *)member ? *(char *const *)member : "", out);
	else if (row->kind == UNSIGNED)
		fprintf(out, "%u", *(const unsigned *)member);
	else if (row->kind == NUMBER)
		fprintf(out, "%llu", (unsigned long long)*(const uint64_t *)member);
	else if (row->kind == BOOL)
		fprintf(out, "%d", *(const bool *)member);
	else
		fprintf(out, "%a", *(const double *)member);
	fputc(0, out);
}

int lab_job_write(const struct lab_job *job, FILE *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		write_row(&rows[i], (const char *)job + rows[i].offset, out);
	return ferror(out) ? -EIO : 0;
}

static int read_row(const struct row *row, void *member, const char *value)
{
	char *end = NULL, *copy;

	switch (row->kind) {
	case LIST:
		return lab_strings_add(member, value);
	case TEXT:
		copy = strdup(value);
		if (!copy)
			return -ENOMEM;
		free(*(char **)member);
		*(char **)member = copy;
		return 0;
	case UNSIGNED:
		*(unsigned *)member = (unsigned)strtoul(value, &end, 10);
		break;
	case NUMBER:
		*(uint64_t *)member = strtoull(value, &end, 10);
		break;
	case BOOL:
		*(bool *)member = strtoul(value, &end, 10);
		break;
	case REAL:
		*(double *)member = strtod(value, &end);
	}
	return *end ? -EINVAL : 0;
}

int lab_job_read(struct lab_job *job, const char *text, size_t len)
{
	const char *end = text + len;
	struct lab_job read = { 0 };
	int ret = len && !end[-1] ? 0 : -EINVAL;

	for (; !ret && text < end; text += strlen(text) + 1) {
		const char *value = strchr(text, '=');
		size_t i = 0;

		ret = -EINVAL;
		for (; value && i < ARRAY_SIZE(rows); i++) {
			if (strlen(rows[i].key) != (size_t)(value - text) ||
			    memcmp(rows[i].key, text, (size_t)(value - text)) != 0)
				continue;
			ret = read_row(&rows[i], (char *)&read + rows[i].offset, value + 1);
			break;
		}
	}
	if (!ret && (!read.cwd || !read.control || read.changes.n % 2))
		ret = -EINVAL;
	if (ret)
		lab_job_free(&read);
	else
		*job = read;
	return ret;
}
