/* vsock.c: both ends of sockets between the guest and its host.
 *
 * vsock echo N ADDRESS          listens there and sends N connections back what they send
 * vsock talk N KIB ADDRESS      N connections at once, each sending so much and comparing what
 * comes back, then closing its half and waiting for the other's end An ADDRESS is CID:PORT, a path,
 * or PATH:PORT, which is that port of the guest behind the path.
 */
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/vm_sockets.h> /* needs sys/socket.h before it */

static void die(const char *what)
{
	fprintf(stderr, "vsock: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* A socket bound to, or connected with, the address. */
static int open_address(const char *text, int (*use)(int, const struct sockaddr *, socklen_t))
{
	struct sockaddr_vm vm = { .svm_family = AF_VSOCK };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	char path[100] = "", line[32];
	unsigned port = 0;
	int fd;

	if (sscanf(text, "%u:%u", &vm.svm_cid, &vm.svm_port) == 2) {
		fd = socket(AF_VSOCK, SOCK_STREAM, 0);
		if (fd < 0 || use(fd, (struct sockaddr *)&vm, sizeof(vm)))
			die(text);
		return fd;
	}
	sscanf(text, "%99[^:]:%u", path, &port);
	strcpy(un.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (fd < 0 || use(fd, (struct sockaddr *)&un, sizeof(un)))
		die(text);
	if (!port)
		return fd;
	dprintf(fd, "CONNECT %u\n", port);
	for (unsigned i = 0; i < sizeof(line) - 1; i++) {
		if (read(fd, line + i, 1) != 1)
			die("no answer to CONNECT");
		line[i + 1] = '\0';
		if (line[i] == '\n')
			break;
	}
	if (strncmp(line, "OK ", 3)) {
		errno = EPROTO;
		die(line);
	}
	return fd;
}

/* Runs fn in n processes; 0 if all succeed. */
static int all(unsigned n, void (*fn)(int fd, unsigned kib), int fd, unsigned kib)
{
	int status, failed = 0;

	while (n--) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (!pid) {
			fn(fd, kib);
			exit(0);
		}
	}
	while (wait(&status) > 0)
		failed |= status;
	return failed != 0;
}

static void echo(int listener, unsigned kib)
{
	static char buf[100000];
	int fd = accept(listener, NULL, NULL);
	ssize_t n;

	(void)kib;
	if (fd < 0)
		die("accept");
	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		for (ssize_t done = 0, some; done < n; done += some) {
			some = write(fd, buf + done, (size_t)(n - done));
			if (some < 0)
				die("echo: write");
		}
	}
	if (n < 0)
		die("echo: read");
	close(fd);
}

static uint32_t next(uint32_t *seed)
{
	return *seed = *seed * 1664525 + 1013904223;
}

static const char *peer;

static void talk(int unused, unsigned kib)
{
	static uint32_t out[16384], in[16384];
	uint32_t seed = (uint32_t)getpid(), seed_in = seed;
	size_t total = (size_t)kib * 1024, sent = 0, heard = 0, n_out = 0, n_in = 0;
	int fd = open_address(peer, connect);

	(void)unused;
	while (heard < total) {
		struct pollfd p = { fd, POLLIN | (sent < total ? POLLOUT : 0), 0 };
		ssize_t n;

		poll(&p, 1, -1);
		if (p.revents & POLLOUT) {
			if (!n_out) {
				for (size_t i = 0; i < sizeof(out) / sizeof(*out); i++)
					out[i] = next(&seed);
			}
			n = total - sent < sizeof(out) - n_out ? (ssize_t)(total - sent)
							       : (ssize_t)(sizeof(out) - n_out);
			n = send(fd, (char *)out + n_out, (size_t)n, MSG_DONTWAIT);
			if (n < 0 && errno != EAGAIN)
				die("talk: send");
			n = n < 0 ? 0 : n;
			sent += (size_t)n;
			n_out = (n_out + (size_t)n) % sizeof(out);
			if (sent == total)
				shutdown(fd, SHUT_WR);
		}
		if (!(p.revents & (POLLIN | POLLHUP)))
			continue;
		n = recv(fd, (char *)in + n_in, sizeof(in) - n_in, MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			continue;
		if (n <= 0)
			die("talk: it ended early");
		heard += (size_t)n;
		n_in += (size_t)n;
		if (n_in < sizeof(in) && heard < total)
			continue;
		for (size_t i = 0; i < n_in / sizeof(*in); i++) {
			if (in[i] != next(&seed_in)) {
				errno = EILSEQ;
				die("talk: other bytes came back");
			}
		}
		n_in = 0;
	}
	if (read(fd, in, 1))
		die("talk: more came back");
	close(fd);
}

int main(int argc, char **argv)
{
	unsigned n = argc > 2 ? (unsigned)atoi(argv[2]) : 0;

	if (argc == 4 && !strcmp(argv[1], "echo")) {
		int fd = open_address(argv[3], bind);

		if (listen(fd, 100))
			die("listen");
		puts("listening");
		fflush(stdout);
		return all(n, echo, fd, 0);
	}
	if (argc == 5 && !strcmp(argv[1], "talk")) {
		peer = argv[4];
		if (all(n, talk, -1, (unsigned)atoi(argv[3])))
			return 1;
		printf("%u times %s KiB there and back are the same\n", n, argv[3]);
		return 0;
	}
	fputs("usage: vsock echo N ADDRESS | vsock talk N KIB ADDRESS\n", stderr);
	return 2;
}
