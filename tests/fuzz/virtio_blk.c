/* virtio_blk.c: a guest that makes any request of a disk: any type, place and length, in any
 * buffers, which may overlap each other.
 *
 * The first byte says what the driver accepted. Then each request: how many buffers, their lengths
 * and places, and the bytes that they begin with.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "fuzz.h"

#include "unit/virtio_driver.h"

#include <vibevmm/log.h>

#include "../../src/virtio/blk.h"

#define SIZE	65536U
#define BUFFERS 0x8000U /* bytes of guest memory that they lie in */
#define MOST	8U	/* buffers of a request */

extern const struct device_row device_virtio_blk;

/* As src/virtio/blk.c has it. */
static struct options {
	VIRTIO_MEMBERS;
	char *path, *nbd, *serial;
	uint32_t format, cache;
	bool read_only, ephemeral;
	uint64_t sector;
	uint32_t queues;
} options = { .transport = VIRTIO_MMIO, .serial = (char *)"fuzz", .sector = 512, .queues = 1 };

static struct driver d;
static uint64_t buffers_at, memory_at;
static int image;

/* One device for all inputs: each resets it. */
static void prepare(void)
{
	static char path[32];

	if (image)
		return;
	log_set_level(LOG_NONE);
	image = memfd_create("image", MFD_CLOEXEC);
	must(image > 0 && !ftruncate(image, SIZE));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", image);
	options.path = path;
	driver_plug(&d, &device_virtio_blk, &options);
	memory_at = d.next;
}

/* Whether there is anything to check: a status that can't be told from other bytes can't be. */
struct request {
	uint16_t head;
	uint32_t in_len;
};

static struct request add(struct bytes *in)
{
	static const uint8_t types[] = { BLK_T_IN,     BLK_T_OUT,     BLK_T_FLUSH,
					 BLK_T_GET_ID, BLK_T_DISCARD, BLK_T_WRITE_ZEROES };
	unsigned n_out = (unsigned)take(in, 1) % MOST, n_in = (unsigned)take(in, 1) % MOST;
	struct driver_buffer buffers[2 * MOST];
	struct request request = { 0 };
	uint8_t *p;

	if (!n_out && !n_in)
		n_in = 1;
	for (unsigned i = 0; i < n_out + n_in; i++) {
		uint64_t at = take(in, 2) % BUFFERS;
		uint32_t len = (uint32_t)take(in, 2);

		/* Often as drivers have it. */
		if (len & 0x8000)
			len = i == 0 ? 16 : i == n_out + n_in - 1 ? 1 : (len & 0x7e00);
		len = len % (BUFFERS - (uint32_t)at);
		buffers[i] = (struct driver_buffer){ buffers_at + at, len ? len : 1 };
		if (i >= n_out)
			request.in_len += buffers[i].len;
	}
	p = driver_ptr(&d, buffers[0].gpa);
	if (n_out && buffers[0].len >= 16) {
		unsigned type = (unsigned)take(in, 1);

		bytes_put32(p, type & 0x80 ? type : types[type % ARRAY_SIZE(types)]);
		bytes_put64(p + 8, type & 0x40 ? take(in, 8) : take(in, 1));
		for (unsigned i = 16; i < 32 && i < buffers[0].len && type & 0x20; i++)
			p[i] = (uint8_t)take(in, 1);
	}
	request.head = driver_add(&d, 0, buffers, n_out, n_in);
	return request;
}

static void fuzz_one(const uint8_t *data, size_t size)
{
	struct bytes in = { data, size };
	uint64_t accepted = take(&in, 1);
	struct request requests[8];
	uint32_t in_lens[DRIVER_QUEUE_SIZE];
	unsigned n = 0, done = 0;
	uint32_t written;
	uint16_t head;
	struct stat st;

	prepare();
	d.next = memory_at;
	driver_start(&d, (accepted & 1 ? 1ULL << BLK_F_FLUSH : 0) |
				 (accepted & 2 ? 1ULL << BLK_F_DISCARD : 0) |
				 (accepted & 4 ? 1ULL << BLK_F_WRITE_ZEROES : 0) |
				 (accepted & 8 ? DRIVER_EVENT_IDX : 0));
	buffers_at = driver_alloc(&d, BUFFERS);
	while (n < ARRAY_SIZE(requests) && in.len) {
		requests[n] = add(&in);
		in_lens[requests[n].head] = requests[n].in_len;
		n++;
	}
	driver_kick(&d, 0);
	while (done < n) {
		if (driver_used(&d, 0, &head, &written)) {
			must(written == in_lens[head]);
			done++;
		} else if (driver_broken(&d)) {
			break;
		} else {
			struct driver_queue *q = &d.queues[0];

			q->avail[2 + q->size] = q->last_used; /* used_event */
			atomic_thread_fence(memory_order_seq_cst);
			if (__atomic_load_n(&q->used[1], __ATOMIC_ACQUIRE) == q->last_used &&
			    !driver_broken(&d))
				driver_wait_irq(&d);
		}
	}
	driver_reset(&d);
	must(!fstat(image, &st) && st.st_size == SIZE);
}
