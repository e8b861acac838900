/* io_load.c: gives disks and networks work, and tells how long it took; for
 * tests/bench/lab_devices.
 *
 *     io_load disk FILE        reads and overwrites FILE, past the cache
 *     io_load net ADDRESS      talks TCP to `io_load serve` there
 *     io_load serve            answers that, without end
 *     io_load tap NAME         makes a tap interface that stays
 *
 * For each kind of work it prints "bench: begin NAME", then an empty line as soon as that is done,
 * then "bench: end REQUESTS BYTES NANOSECONDS". Around the work it sleeps, so that whoever reads
 * the first two lines can look at counters in time.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MIB   (1UL << 20)
#define DEPTH 32
#define PORT  5001
#define BURST (64UL << 10)

static void die(const char *what)
{
	fprintf(stderr, "io_load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t began;

static void begin(const char *name)
{
	printf("bench: begin %s\n", name);
	nap();
	began = now();
}

static void end(unsigned long requests, unsigned long bytes)
{
	uint64_t ns = now() - began;

	putchar('\n');
	nap();
	printf("bench: end %lu %lu %llu\n", requests, bytes, (unsigned long long)ns);
}

/* ---- Disk ---------------------------------------------------------------------------------- */

struct disk {
	int fd;
	unsigned long size;
	char *buf; /* 1 MiB */
	uint64_t random;
};

static void sequential(struct disk *disk, const char *name, unsigned long block, int write)
{
	unsigned long done;

	begin(name);
	for (done = 0; done + block <= disk->size; done += block) {
		ssize_t n = write ? pwrite(disk->fd, disk->buf, block, (off_t)done)
				  : pread(disk->fd, disk->buf, block, (off_t)done);

		if (n != (ssize_t)block)
			die(name);
	}
	end(done / block, done);
}

/* xorshift64 (Marsaglia, "Xorshift RNGs"): the same places in each run. */
static off_t anywhere(struct disk *disk)
{
	disk->random ^= disk->random << 13;
	disk->random ^= disk->random >> 7;
	disk->random ^= disk->random << 17;
	return (off_t)(disk->random % (disk->size / 4096) * 4096);
}

static void random_reads(struct disk *disk, const char *name, unsigned long count)
{
	begin(name);
	for (unsigned long i = 0; i < count; i++) {
		if (pread(disk->fd, disk->buf, 4096, anywhere(disk)) != 4096)
			die(name);
	}
	end(count, count * 4096);
}

/* As many as come back go out again, at once. */
static void deep_reads(struct disk *disk, const char *name, unsigned long count)
{
	struct iocb blocks[DEPTH], *list[DEPTH];
	struct io_event events[DEPTH];
	unsigned long sent = 0, done = 0;
	aio_context_t context = 0;
	long n = DEPTH;

	if (syscall(SYS_io_setup, DEPTH, &context))
		die("io_setup");
	for (size_t i = 0; i < DEPTH; i++) {
		list[i] = &blocks[i];
		blocks[i] = (struct iocb){
			.aio_lio_opcode = IOCB_CMD_PREAD,
			.aio_fildes = (uint32_t)disk->fd,
			.aio_buf = (uintptr_t)disk->buf + i * 4096,
			.aio_nbytes = 4096,
		};
	}
	begin(name);
	while (done < count) {
		long room = (long)(count - sent);

		n = n < room ? n : room;
		for (long i = 0; i < n; i++)
			list[i]->aio_offset = anywhere(disk);
		if (n && syscall(SYS_io_submit, context, n, list) != n)
			die("io_submit");
		sent += (unsigned long)n;
		n = syscall(SYS_io_getevents, context, 1, DEPTH, events, NULL);
		if (n < 1)
			die("io_getevents");
		for (long i = 0; i < n; i++) {
			if (events[i].res != 4096)
				die(name);
			list[i] = (struct iocb *)(uintptr_t)events[i].obj;
		}
		done += (unsigned long)n;
	}
	end(count, count * 4096);
	syscall(SYS_io_destroy, context);
}

static int disk_main(const char *path)
{
	struct disk disk = { .fd = open(path, O_RDWR | O_DIRECT), .random = 88172645463325252ULL };
	off_t size = lseek(disk.fd, 0, SEEK_END);

	if (disk.fd < 0 || size < (off_t)MIB)
		die(path);
	disk.size = (unsigned long)size;
	if (posix_memalign((void **)&disk.buf, 4096, MIB))
		die("memory");
	memset(disk.buf, 0x5a, MIB);
	sequential(&disk, "write-1M", MIB, 1);
	sequential(&disk, "read-1M", MIB, 0);
	sequential(&disk, "read-64K", 64 << 10, 0);
	random_reads(&disk, "random-4K", 4096);
	deep_reads(&disk, "random-4K-32", 8192);
	return 0;
}

/* ---- Network ------------------------------------------------------------------------------- */

enum { OUT = 'o', IN = 'i', ROUND = 'r' };

#define STREAM (32 * MIB)
#define ROUNDS 2048UL

static char burst[BURST];

static void send_all(int fd, unsigned long len)
{
	while (len) {
		ssize_t n = send(fd, burst, len < BURST ? len : BURST, MSG_NOSIGNAL);

		if (n <= 0)
			die("send");
		len -= (unsigned long)n;
	}
}

static void receive_all(int fd, unsigned long len)
{
	while (len) {
		ssize_t n = recv(fd, burst, len < BURST ? len : BURST, 0);

		if (n <= 0)
			die("receive");
		len -= (unsigned long)n;
	}
}

static int open_socket(struct sockaddr_in *addr, const char *to)
{
	int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

	*addr = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(PORT) };
	if (fd < 0 || inet_pton(AF_INET, to, &addr->sin_addr) != 1)
		die(to);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	return fd;
}

static void answer(int fd)
{
	char what = 0;
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	while (recv(fd, &what, 1, 0) == 1) {
		switch (what) {
		case OUT:
			receive_all(fd, STREAM);
			send_all(fd, 1);
			break;
		case IN:
			send_all(fd, STREAM);
			break;
		default:
			for (unsigned long i = 0; i < ROUNDS; i++) {
				receive_all(fd, 1);
				send_all(fd, 1);
			}
		}
	}
}

static int serve_main(void)
{
	struct sockaddr_in addr;
	int fd = open_socket(&addr, "0.0.0.0");

	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 4))
		die("listen");
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		int peer = accept(fd, NULL, NULL);

		if (peer < 0)
			die("accept");
		if (!fork()) {
			answer(peer);
			_exit(0);
		}
		close(peer);
	}
}

static void ask(int fd, char what)
{
	if (send(fd, &what, 1, MSG_NOSIGNAL) != 1)
		die("send");
}

static int net_main(const char *to)
{
	struct sockaddr_in addr;
	int fd = open_socket(&addr, to);

	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		die(to);
	/* The peer's share of the work is in the time: its answer ends it. */
	begin("tcp-out");
	ask(fd, OUT);
	send_all(fd, STREAM);
	receive_all(fd, 1);
	end(STREAM / BURST, STREAM);

	begin("tcp-in");
	ask(fd, IN);
	receive_all(fd, STREAM);
	end(STREAM / BURST, STREAM);

	ask(fd, ROUND);
	begin("tcp-round");
	for (unsigned long i = 0; i < ROUNDS; i++) {
		send_all(fd, 1);
		receive_all(fd, 1);
	}
	end(ROUNDS, ROUNDS);
	close(fd);
	return 0;
}

/* Linux Documentation/networking/tuntap.rst. */
static int tap_main(const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) || ioctl(fd, TUNSETPERSIST, 1))
		die(name);
	return 0;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 3 && !strcmp(argv[1], "disk"))
		return disk_main(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "net"))
		return net_main(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "tap"))
		return tap_main(argv[2]);
	if (argc == 2 && !strcmp(argv[1], "serve"))
		return serve_main();
	fputs("usage: io_load disk FILE | net ADDRESS | tap NAME | serve\n", stderr);
	return 64;
}
