/* passt_linux.c: a child that carries a VM's frames into the host's network, with no more rights
 * than the user has. See passt(1).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vibevmm/net.h>

#define CHILD_FD 3 /* where passt finds its end of the socket */

enum { START_MS = 10000, END_MS = 1000, BUFFER = 16 << 20 };

extern char **environ;

/* ---- Ports ----------------------------------------------------------------------------------- */

/* passt goes on without a port that it can't have. So look first. */
static int check_port(const struct passt_forward *forward, struct err *err)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} addr = { .v4 = { .sin_family = AF_INET, .sin_port = htons(forward->host) } };
	const char *where = forward->address ? forward->address : "0.0.0.0";
	socklen_t len = sizeof(addr.v4);
	int fd, ret, on = 1;

	if (inet_pton(AF_INET, where, &addr.v4.sin_addr) != 1) {
		addr.v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6,
						 .sin6_port = htons(forward->host) };
		len = sizeof(addr.v6);
		if (inet_pton(AF_INET6, where, &addr.v6.sin6_addr) != 1)
			return err_set(err, EINVAL, STATUS_CONFIG, "'%s' is no IP address", where);
	}
	fd = socket(addr.any.sa_family, (forward->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC,
		    0);
	if (fd < 0)
		return err_errno(err, errno, STATUS_OSERR, "socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	ret = bind(fd, &addr.any, len) ? -errno : 0;
	close(fd);
	if (ret == -EADDRINUSE)
		return err_set(err, -ret, STATUS_UNAVAILABLE,
			       "port %u (%s) of %s is in use; `ss -%clnp 'sport = %u'` shows by "
			       "whom",
			       forward->host, forward->udp ? "udp" : "tcp",
			       forward->address ? forward->address : "this host",
			       forward->udp ? 'u' : 't', forward->host);
	if (ret == -EACCES)
		return err_set(err, -ret, STATUS_UNAVAILABLE,
			       "port %u needs rights that this user has not; take one from 1024 on",
			       forward->host);
	if (ret)
		return err_errno(err, -ret, STATUS_UNAVAILABLE, "port %u of %s", forward->host,
				 forward->address ? forward->address : "this host");
	return 0;
}

/* ---- The command line ------------------------------------------------------------------------ */

struct words {
	char **list;
	unsigned n, cap;
	bool failed;
};

static void add(struct words *words, char *word)
{
	if (words->n + 1 >= words->cap) {
		unsigned cap = words->cap ? 2 * words->cap : 16;
		char **list = realloc(words->list, cap * sizeof(*list));

		if (!list) {
			words->failed = true;
			free(word);
			return;
		}
		words->list = list;
		words->cap = cap;
	}
	words->failed |= !word;
	words->list[words->n++] = word;
	words->list[words->n] = NULL;
}

static void add_number(struct words *words, const char *option, unsigned value)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", value);
	add(words, strdup(option));
	add(words, strdup(text));
}

static void make_words(struct words *words, const struct passt_config *config)
{
	bool udp = false;

	add(words, strdup("passt"));
	add(words, strdup("--quiet"));
	add_number(words, "--fd", CHILD_FD);
	if (config->mtu)
		add_number(words, "--mtu", config->mtu);
	for (unsigned i = 0; i < config->n_forwards; i++) {
		const struct passt_forward *f = &config->forwards[i];
		char *word;

		if (asprintf(&word, "%s%s%u:%u", f->address ? f->address : "",
			     f->address ? "/" : "", f->host, f->guest) < 0)
			word = NULL;
		add(words, strdup(f->udp ? "--udp-ports" : "--tcp-ports"));
		add(words, word);
		udp |= f->udp;
	}
	/* Or it forwards the UDP ports of the same numbers as well. */
	if (!udp) {
		add(words, strdup("--udp-ports"));
		add(words, strdup("none"));
	}
}

static void free_words(struct words *words)
{
	for (unsigned i = 0; i < words->n; i++)
		free(words->list[i]);
	free(words->list);
}

/* ---- The child ------------------------------------------------------------------------------- */

static int spawn(pid_t *pid, char **words, int end, int out)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int ret;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	/* In a group of its own: what the user types at the terminal is for the VM. */
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
						POSIX_SPAWN_SETPGROUP);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out, 1);
	posix_spawn_file_actions_adddup2(&actions, out, 2);
	posix_spawn_file_actions_adddup2(&actions, end, CHILD_FD);
	ret = posix_spawnp(pid, words[0], &actions, &attr, words, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	return -ret;
}

/* What it says until it closes its output: as much as fits, in one line. */
static void listen_to(int fd, char *text, size_t len)
{
	struct pollfd in = { .fd = fd, .events = POLLIN };
	char chunk[256];
	size_t used = 0;
	ssize_t n;

	while (poll(&in, 1, START_MS) > 0 && (n = read(fd, chunk, sizeof(chunk))) > 0) {
		for (ssize_t i = 0; i < n && used + 1 < len; i++)
			text[used++] = chunk[i] == '\n' ? ' ' : chunk[i];
	}
	while (used && text[used - 1] == ' ')
		used--;
	text[used] = 0;
}

/* passt goes into the background when it is ready; what was started then ends with status 0. */
static int wait_until_ready(pid_t pid, int out, struct err *err)
{
	struct pollfd end = { .fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };
	char text[300];
	int status;

	listen_to(out, text, sizeof(text));
	if (end.fd >= 0 && poll(&end, 1, START_MS) <= 0)
		kill(pid, SIGKILL);
	if (end.fd >= 0)
		close(end.fd);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	return err_set(err, ECHILD, STATUS_UNAVAILABLE, "passt failed: %s",
		       *text ? text : "it does not say why");
}

int passt_start(const struct passt_config *config, struct err *err)
{
	struct words words = { 0 };
	int ends[2] = { -1, -1 }, out[2] = { -1, -1 }, size = BUFFER, ret = 0;
	pid_t pid;

	for (unsigned i = 0; i < config->n_forwards && !ret; i++)
		ret = check_port(&config->forwards[i], err);
	if (ret)
		return ret;
	make_words(&words, config);
	if (words.failed) {
		ret = err_errno(err, ENOMEM, STATUS_OSERR, "passt");
		goto out;
	}
	/* passt's end blocks: of a frame that was sent in part, it sends the rest with one call. */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) ||
	    fcntl(ends[0], F_SETFL, O_NONBLOCK) || pipe2(out, O_CLOEXEC)) {
		ret = err_errno(err, errno, STATUS_OSERR, "passt");
		goto out;
	}
	/* As much as the host lets us have: passt drops what doesn't fit into the socket, and
	 * enlarges only one that it made itself. */
	for (unsigned i = 0; i < 2; i++)
		setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	ret = spawn(&pid, words.list, ends[1], out[1]);
	close(ends[1]);
	close(out[1]);
	ends[1] = out[1] = -1;
	if (ret == -ENOENT)
		err_set(err, ENOENT, STATUS_UNAVAILABLE,
			"user-mode networking needs the program passt, which is not installed; on "
			"Debian, `sudo apt install passt`");
	else if (ret)
		err_errno(err, -ret, STATUS_OSERR, "passt");
	else
		ret = wait_until_ready(pid, out[0], err);
out:
	if (ret) {
		close(ends[0]);
		close(ends[1]);
	}
	close(out[0]);
	close(out[1]);
	free_words(&words);
	return ret ? ret : ends[0];
}

/* It ends when we hang up, and hangs up when it ends. */
void passt_stop(int fd)
{
	struct pollfd end = { .fd = fd };

	shutdown(fd, SHUT_WR);
	poll(&end, 1, END_MS);
	close(fd);
}
