/* durations.c: how long each case took when it last ran, kept in the user's cache.
 *
 * A text: a line that names the format, then "MICROSECONDS<TAB>CASE" for each case, the latest
 * first. It only makes things faster, so a loss is never an error.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <vibevmm/cache.h>
#include <vibevmm/log.h>

#include "suite_private.h"

#define NAME	  "durations"
#define HEADER	  "vibevmm durations 1\n"
#define MAX_LINES 4000
#define MAX_BYTES (4 << 20)

struct entry {
	char *key;
	uint64_t us;
	size_t line;
};

struct table {
	struct entry *entries; /* sorted by key */
	size_t n;
};

static void table_free(struct table *table)
{
	for (size_t i = 0; i < table->n; i++)
		free(table->entries[i].key);
	free(table->entries);
	*table = (struct table){ 0 };
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->key, ((const struct entry *)b)->key);
}

static int by_line(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return (x->line > y->line) - (x->line < y->line);
}

static const struct entry *look_up(const struct table *table, char *key)
{
	struct entry wanted = { .key = key };

	return table->n ? bsearch(&wanted, table->entries, table->n, sizeof(wanted), by_key) : NULL;
}

/* A case is known by the file's absolute path, and its combination. NULL: it can't be. */
static char *key_of(const struct suite_case *c)
{
	const char *combination = strchr(c->name, '[');
	char path[PATH_MAX], *key;

	if (!realpath(c->file, path) || strchr(path, '\n') ||
	    asprintf(&key, "%s%s", path, combination ? combination : "") < 0)
		return NULL;
	return key;
}

/* ---- Reading ------------------------------------------------------------------------------- */

static bool parse(FILE *file, struct table *table)
{
	char *line = NULL, *end;
	size_t cap = 0;
	ssize_t len = getline(&line, &cap, file);
	bool good = len > 0 && !strcmp(line, HEADER);

	while (good && table->n < MAX_LINES && (len = getline(&line, &cap, file)) > 0) {
		struct entry *entry = &table->entries[table->n];

		entry->us = strtoull(line, &end, 10);
		entry->line = table->n;
		good = end > line && *end == '\t' && line[len - 1] == '\n';
		if (!good)
			break;
		line[len - 1] = 0;
		entry->key = strdup(end + 1);
		good = entry->key;
		table->n += good;
	}
	free(line);
	return good;
}

static void load(int dir, struct table *table)
{
	int fd = openat(dir, NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	struct stat st;
	bool good;

	*table = (struct table){ 0 };
	if (!file) {
		if (fd >= 0)
			close(fd);
		return;
	}
	table->entries = calloc(MAX_LINES, sizeof(*table->entries));
	good = table->entries && !fstat(fd, &st) && S_ISREG(st.st_mode) &&
	       cache_is_ours(&st, S_IWGRP | S_IWOTH) && st.st_size <= MAX_BYTES &&
	       parse(file, table);
	fclose(file);
	if (!good) {
		log_warn("the cache of durations, " NAME
			 ", is broken: it is ignored, and written anew after this run");
		table_free(table);
		return;
	}
	qsort(table->entries, table->n, sizeof(*table->entries), by_key);
}

void suite_durations_load(struct suite *suite)
{
	int dir = cache_open();
	struct table table;

	if (dir < 0)
		return;
	load(dir, &table);
	close(dir);
	for (size_t i = 0; i < suite->n && table.n; i++) {
		char *key = key_of(&suite->cases[i]);
		const struct entry *entry = key ? look_up(&table, key) : NULL;

		if (entry && entry->us < UINT64_MAX / 1000)
			suite->cases[i].known = entry->us * 1000;
		free(key);
	}
	table_free(&table);
}

/* ---- Writing ------------------------------------------------------------------------------- */

/* What this run has found out. */
static void learn(const struct suite *suite, const struct suite_run *run, struct table *table)
{
	table->entries = calloc(run->n + 1, sizeof(*table->entries));
	for (size_t i = 0; table->entries && i < run->n && i < suite->n; i++) {
		const struct suite_result *r = &run->results[i];
		struct entry *entry = &table->entries[table->n];

		if (r->outcome == SUITE_NOT_RUN || r->outcome == SUITE_SKIPPED)
			continue;
		*entry = (struct entry){ key_of(&suite->cases[i]), (r->end - r->begin) / 1000, i };
		table->n += entry->key != NULL;
	}
	if (table->n)
		qsort(table->entries, table->n, sizeof(*table->entries), by_key);
}

static bool write_tables(FILE *file, const struct table *now, struct table *before)
{
	size_t n = 0;

	fputs(HEADER, file);
	for (; n < now->n && n < MAX_LINES; n++)
		fprintf(file, "%" PRIu64 "\t%s\n", now->entries[n].us, now->entries[n].key);
	if (before->n)
		qsort(before->entries, before->n, sizeof(*before->entries), by_line);
	for (size_t i = 0; i < before->n && n < MAX_LINES; i++) {
		const struct entry *entry = &before->entries[i];

		if (look_up(now, entry->key))
			continue;
		fprintf(file, "%" PRIu64 "\t%s\n", entry->us, entry->key);
		n++;
	}
	return !fflush(file) && !ferror(file);
}

/* Atomically, so that another run sees the old file or the new one. */
static void replace(int dir, const struct table *now, struct table *before)
{
	char name[64];
	uint64_t unique;
	FILE *file;
	bool good;
	int fd;

	if (getentropy(&unique, sizeof(unique)))
		return;
	snprintf(name, sizeof(name), NAME ".new-%" PRIx64, unique);
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	file = fd < 0 ? NULL : fdopen(fd, "w");
	if (!file) {
		if (fd >= 0)
			close(fd);
		return;
	}
	good = write_tables(file, now, before);
	fclose(file);
	if (!good || renameat(dir, name, dir, NAME)) {
		log_info("the durations of this run could not be kept");
		unlinkat(dir, name, 0);
	}
}

void suite_durations_save(const struct suite *suite, const struct suite_run *run)
{
	struct table now = { 0 }, before;
	enum log_level level = log_get_level();
	int dir = cache_open();

	if (dir < 0)
		return;
	learn(suite, run, &now);
	if (now.n) {
		log_set_level(LOG_NONE); /* a broken one was told at the start */
		load(dir, &before);
		log_set_level(level);
		replace(dir, &now, &before);
		table_free(&before);
	}
	table_free(&now);
	close(dir);
}
