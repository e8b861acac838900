/* lab_boot.c: one boot of the lab: what goes in, and what comes out while it runs. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vibevmm/host.h>
#include <vibevmm/log.h>

#include "lab.h"
#include "report.h"
#include "suite_private.h"

#define SECOND 1000000000ULL

/* What a lab may take to boot, and beyond the limits of a case, on a machine with much to do;
 * longer where limits are. */
#define PATIENCE (180 * SECOND)

/* Of its memory: what its kernel and the program take, apart from a VM's. */
#define OWN_MEMORY (768ULL << 20)

struct boot {
	struct lab *lab;
	const struct lab_kit *kit;
	const size_t *cases; /* by the numbers that the lab has for them */
	size_t n;
	char dir[4096];	 /* for its files */
	uint64_t origin; /* when its suite began, as near as we know */
	bool *running;	 /* by number: it began, and has no result yet */
	bool began, done;
	char said[512]; /* the line that comes */
	size_t len;
	char *failed; /* what it told of why it can't; NULL */
};

/* ---- Its files ------------------------------------------------------------------------------ */

static char *file_of(const struct boot *b, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", b->dir, name) < 0 ? NULL : path;
}

static int make_dir(struct boot *b, struct err *err)
{
	const char *tmp = getenv("TMPDIR");
	char *results;
	int ret = 0;

	snprintf(b->dir, sizeof(b->dir), "%s/vibevmm-lab-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(b->dir)) {
		b->dir[0] = 0;
		return err_errno(err, errno, STATUS_OSERR,
				 "can't make a temporary directory in '%s'",
				 tmp && *tmp ? tmp : "/tmp");
	}
	results = file_of(b, "results");
	if (!results || mkdir(results, 0700))
		ret = err_errno(err, errno, STATUS_OSERR, "can't make '%s'", results);
	free(results);
	return ret;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)st;
	(void)kind;
	(void)where;
	return remove(path);
}

static void remove_dir(const struct boot *b)
{
	if (b->dir[0])
		nftw(b->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* The last lines of a file, behind what is in text. */
static void add_tail(const struct boot *b, const char *name, char *text, size_t size)
{
	size_t len = strlen(text), want = (size - len) / 2, n = 0;
	char *path = file_of(b, name);
	FILE *in = path ? fopen(path, "re") : NULL;

	free(path);
	if (!in)
		return;
	if (!fseek(in, -(long)want, SEEK_END) || !fseek(in, 0, SEEK_SET))
		n = fread(text + len, 1, want, in);
	fclose(in);
	text[len + n] = 0;
	for (char *c = text + len; c < text + len + n; c++) {
		if (!*c || *c == '\r')
			*c = ' ';
	}
}

/* ---- What it is told ------------------------------------------------------------------------ */

static int fill_job(const struct boot *b, struct lab_job *job)
{
	const struct suite_options *options = b->lab->options;
	const struct suite_choice *choice = b->lab->choice;
	const char *file = "";
	int ret = 0;

	job->cwd = getcwd(NULL, 0);
	job->control = strdup(lab_qemu_control(b->kit->arch));
	job->options = *options;
	job->options.scale *= SUITE_LAB_SCALE;
	if (asprintf((char **)&job->options.worker, "%s%slab-%s",
		     options->worker ? options->worker : "",
		     options->worker && *options->worker ? " " : "",
		     hv_arch_name(b->kit->arch)) < 0)
		job->options.worker = NULL;
	if (!job->cwd || !job->control || !job->options.worker)
		return -ENOMEM;
	for (char **env = environ; *env && !ret; env++)
		ret = lab_strings_add(&job->env, *env);
	for (size_t i = 0; i < choice->n_changes && !ret; i++) {
		ret = lab_strings_add(&job->changes, choice->changes[i].flag->name);
		if (!ret)
			ret = lab_strings_add(&job->changes, choice->changes[i].value);
	}
	for (size_t i = 0; i < b->n && !ret; i++) {
		const struct suite_case *c = &b->lab->suite->cases[b->cases[i]];

		ret = lab_strings_add(&job->cases, c->name);
		if (!ret && strcmp(c->file, file) != 0)
			ret = lab_strings_add(&job->files, c->file);
		file = c->file;
	}
	return ret;
}

static int write_initrd(const struct boot *b, const char *path, struct err *err)
{
	struct lab_job job = { 0 };
	FILE *out = fopen(path, "wxe");
	int ret;

	if (!out)
		return err_errno(err, errno, STATUS_OSERR, "can't write '%s'", path);
	ret = fill_job(b, &job);
	if (ret)
		err_errno(err, -ret, STATUS_OSERR, "the lab");
	else
		ret = lab_initrd_write(b->kit->program, &b->kit->kernel, &job, out, err);
	lab_job_free(&job);
	fclose(out);
	return ret;
}

/* Memory for the largest VM; what guests don't touch isn't taken, so no more than the host has. */
static uint64_t memory_for(const struct boot *b)
{
	uint64_t most = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t memory = 0;

	for (size_t i = 0; i < b->n; i++) {
		const struct suite_case *c = &b->lab->suite->cases[b->cases[i]];

		memory = c->memory > memory ? c->memory : memory;
	}
	return memory > most - OWN_MEMORY ? most : memory + OWN_MEMORY;
}

static unsigned cpus_for(const struct boot *b)
{
	long most = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned jobs = b->lab->options->jobs;

	if (!jobs || most < 1)
		return 1;
	return jobs < (unsigned long)most ? jobs : (unsigned)most;
}

static int start(const struct boot *b, pid_t *pid, int *said, struct err *err)
{
	char *initrd = file_of(b, "initrd"), *results = file_of(b, "results");
	char *console = file_of(b, "console"), *log = file_of(b, "qemu");
	struct lab_machine machine = {
		.arch = b->kit->arch,
		.memory = memory_for(b),
		.cpus = cpus_for(b),
		.kernel = b->kit->kernel.boot.image.fd,
		.initrd = initrd,
		.results = results,
		.console = console,
		.log = log,
	};
	int ret;

	if (!initrd || !results || !console || !log)
		ret = err_errno(err, ENOMEM, STATUS_OSERR, "the lab");
	else
		ret = write_initrd(b, initrd, err);
	if (!ret)
		ret = lab_qemu_start(b->kit->qemu, &machine, pid, said, err);
	free(initrd);
	free(results);
	free(console);
	free(log);
	return ret;
}

/* ---- What it says --------------------------------------------------------------------------- */

static void settle(struct boot *b, size_t index)
{
	b->lab->settled[index] = true;
	if (!suite_settle(&b->lab->suite->cases[index], &b->lab->run->results[index],
			  b->lab->options))
		b->lab->stopped = true;
}

/* The lab writes there as it likes: what is no file would lead elsewhere, or be waited for. */
static int read_result(const char *path, struct suite_run *run, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), ret;
	FILE *in = fd < 0 ? NULL : fdopen(fd, "r");
	struct stat st;

	if (!in || fstat(fd, &st))
		ret = err_errno(err, errno, STATUS_NOINPUT, "cannot read '%s'", path);
	else if (!S_ISREG(st.st_mode))
		ret = err_set(err, EINVAL, STATUS_NOINPUT, "'%s' is no file", path);
	else
		ret = report_read(in, path, run, err);
	if (in)
		fclose(in);
	else if (fd >= 0)
		close(fd);
	return ret;
}

static void take_result(struct boot *b, const char *number)
{
	struct suite_run read = { 0 };
	struct err err = { 0 };
	char *path, *name;
	size_t i = 0;

	if (asprintf(&name, "results/%lu", strtoul(number, NULL, 10)) < 0)
		return;
	path = file_of(b, name);
	free(name);
	if (!path)
		return;
	if (read_result(path, &read, &err)) {
		log_error("%s", err.text);
	} else if (read.n == 1) {
		struct suite_result *result = &read.results[0], old;
		struct suite_result *results = b->lab->run->results;
		uint64_t shift = b->origin - b->lab->origin;

		while (i < b->n && strcmp(results[b->cases[i]].name, result->name) != 0)
			i++;
		if (i < b->n && !b->lab->settled[b->cases[i]]) {
			result->begin += shift;
			result->end += shift;
			old = results[b->cases[i]];
			results[b->cases[i]] = *result;
			*result = old;
			b->running[i] = false;
			settle(b, b->cases[i]);
		}
	}
	suite_run_free(&read);
	unlink(path);
	free(path);
}

static void take_line(struct boot *b, const char *line)
{
	const struct suite_options *options = b->lab->options;

	if (!b->origin)
		b->origin = loop_now();
	if (!strcmp(line, "done")) {
		b->done = true;
	} else if (!strncmp(line, "failed ", 7)) {
		free(b->failed);
		b->failed = strdup(line + 7);
	} else if (!strncmp(line, "begin ", 6)) {
		unsigned long i = strtoul(line + 6, NULL, 10);

		if (i >= b->n || b->lab->settled[b->cases[i]])
			return;
		b->began = true;
		b->running[i] = true;
		b->lab->run->results[b->cases[i]].begin = loop_now() - b->lab->origin;
		if (options->begun)
			options->begun(options->arg, b->cases[i]);
	} else if (!strncmp(line, "end ", 4)) {
		b->began = true;
		take_result(b, line + 4);
	}
}

/* False: no more will come. */
static bool take_said(struct boot *b, int said)
{
	ssize_t n = read(said, b->said + b->len, sizeof(b->said) - 1 - b->len);
	char *line = b->said, *end;

	if (n <= 0)
		return n < 0 && errno == EINTR;
	b->len += (size_t)n;
	while ((end = memchr(line, '\n', b->len - (size_t)(line - b->said)))) {
		*end = 0;
		line[strcspn(line, "\r")] = 0;
		take_line(b, line);
		line = end + 1;
	}
	b->len -= (size_t)(line - b->said);
	memmove(b->said, line, b->len);
	if (b->len == sizeof(b->said) - 1) /* no line of ours is so long */
		b->len = 0;
	return true;
}

/* ---- Its life ------------------------------------------------------------------------------- */

/* How long it may say nothing: within that, a case begins or ends. */
static uint64_t patience(const struct boot *b)
{
	const struct suite_options *options = b->lab->options;
	double most = 0, slow = options->scale > 1 ? options->scale : 1;

	for (size_t i = 0; i < b->n; i++) {
		const struct suite_case *c = &b->lab->suite->cases[b->cases[i]];
		double within = (double)config_vm(c->config)->expect.within;

		most = within > most ? within : most;
	}
	most = most * options->scale * SUITE_LAB_SCALE + (double)PATIENCE * slow;
	return most < 1e18 ? (uint64_t)most : 1000000000 * SECOND;
}

/* Until QEMU has closed the line, which it does at its end, or for too long says nothing. */
static int watch(struct boot *b, int said)
{
	struct pollfd polls[] = { { said, POLLIN, 0 }, { b->lab->signals, POLLIN, 0 } };
	uint64_t silence = patience(b), now = loop_now(), limit = now + silence, next = now;
	const struct suite_options *options = b->lab->options;
	int signal;

	for (; now < limit; now = loop_now()) {
		if (options->tick && now >= next) {
			options->tick(options->arg);
			next = now + SECOND;
		}
		if (poll(polls, 2, 1000) < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (polls[1].revents && (signal = suite_signal_take(b->lab->signals))) {
			b->lab->run->signal = signal;
			b->lab->stopped = true;
			return 0;
		}
		if (polls[0].revents) {
			if (!take_said(b, said))
				return 0;
			limit = loop_now() + silence;
		}
	}
	return -ETIMEDOUT;
}

/* What the lab left without a result: it died while those cases ran, or lost the file. */
static void bury(struct boot *b, int why)
{
	for (size_t i = 0; i < b->n; i++) {
		struct suite_result *result = &b->lab->run->results[b->cases[i]];

		if (b->lab->settled[b->cases[i]] || !(b->running[i] || b->done))
			continue;
		result->outcome = SUITE_FAILED;
		result->attempts = 1;
		result->end = loop_now() - b->lab->origin;
		result->report.unmet = true;
		snprintf(result->report.reason, sizeof(result->report.reason), "the lab %s",
			 b->done	     ? "brought no result"
			 : why == -ETIMEDOUT ? "hung while it ran"
					     : "ended while it ran");
		add_tail(b, "qemu", result->report.detail, sizeof(result->report.detail));
		add_tail(b, "console", result->report.detail, sizeof(result->report.detail));
		settle(b, b->cases[i]);
	}
}

/* Nothing ran: the user gets to see why. */
static int refuse(const struct boot *b, int why, struct err *err)
{
	char tail[4096] = "";

	if (b->failed)
		return err_set(err, EIO, STATUS_OSERR, "the lab can't run the cases: %s",
			       b->failed);
	add_tail(b, "qemu", tail, sizeof(tail));
	add_tail(b, "console", tail, sizeof(tail));
	fputs(tail, stderr);
	return err_set(err, EIO, STATUS_OSERR,
		       "the lab %s before its first case began; above is what it said",
		       why == -ETIMEDOUT ? "hung" : "ended");
}

static int live(struct boot *b, struct err *err)
{
	int said, ret, why;
	pid_t pid;

	ret = start(b, &pid, &said, err);
	if (ret)
		return ret;
	why = watch(b, said);
	kill(pid, SIGKILL);
	close(said);
	waitpid(pid, NULL, 0);
	if (b->lab->run->signal)
		return 0;
	if (!b->began)
		return refuse(b, why, err);
	if (b->failed) {
		log_error("the lab could not go on: %s", b->failed);
		b->lab->stopped = true;
	}
	if (!b->lab->stopped)
		bury(b, why);
	return 0;
}

int lab_boot(struct lab *lab, const struct lab_kit *kit, const size_t *cases, size_t n,
	     struct err *err)
{
	struct boot b = { .lab = lab, .kit = kit, .cases = cases, .n = n };
	int ret;

	b.running = calloc(n, sizeof(*b.running));
	if (!b.running)
		return err_errno(err, ENOMEM, STATUS_OSERR, "the lab");
	ret = make_dir(&b, err);
	if (!ret)
		ret = live(&b, err);
	remove_dir(&b);
	free(b.failed);
	free(b.running);
	return ret;
}
