/* unpack_stream.c: gzip, xz, zstd and lz4 streams, unpacked piece by piece into a file. */
#include <errno.h>
#include <inttypes.h>
#include <lz4.h>
#include <lz4frame.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <vibevmm/bytes.h>

#include "unpack_private.h"

#define IN_SIZE	 (256u << 10)
#define OUT_SIZE (256u << 10)

/* What a stream may make us allocate. Linux compresses with windows of up to 128 MiB; they are
 * touched only as far as the output grows. */
#define WINDOW_LOG 27
#define XZ_MEMORY  (160ULL << 20)

/* By so much and a half may a stream be larger than what came out of it so far: lz4 gives nothing
 * until it has 4 MiB. More is there to waste time: a sparse file costs its author nothing, and 4
 * GiB of zeros are 1400 million empty blocks to zstd. */
#define IDLE_MAX (8ULL << 20)

/* LZ4 Frame Format Description, "Legacy frame": blocks that unpack to 8 MiB, the last one less. */
#define LEGACY_MAGIC 0x184c2102
#define LEGACY_BLOCK (8 << 20)

struct flow {
	const struct image *image;
	uint64_t next, left; /* of the part: what has not been read */
	uint64_t used;	     /* by streams, see IDLE_MAX */
	uint8_t *in;
	size_t pos, len; /* in `in`: what has been read and not used */
	uint8_t *out;
	int fd;
	uint64_t written, max;
	bool full;
	const char *method;
};

/* ---- The two ends -------------------------------------------------------------------------- */

/* Has at least `want` bytes (or all that are left) in the input buffer. */
static int flow_fill(struct flow *flow, size_t want, struct err *err)
{
	size_t n;
	int ret;

	if (flow->len - flow->pos >= want || !flow->left)
		return 0;
	flow->len -= flow->pos;
	memmove(flow->in, flow->in + flow->pos, flow->len);
	flow->pos = 0;
	n = IN_SIZE - flow->len;
	if (n > flow->left)
		n = flow->left;
	ret = image_read(flow->image, flow->next, flow->in + flow->len, n);
	if (ret)
		return err_errno(err, -ret, STATUS_NOINPUT, "cannot be read");
	flow->len += n;
	flow->next += n;
	flow->left -= n;
	return 0;
}

/* Exactly len bytes, past the buffer if they are many; -ENODATA, err untouched, if there are less.
 */
static int flow_read(struct flow *flow, void *buf, size_t len, struct err *err)
{
	size_t n = flow->len - flow->pos;
	int ret;

	if (len > n + flow->left)
		return -ENODATA;
	if (n > len)
		n = len;
	memcpy(buf, flow->in + flow->pos, n);
	flow->pos += n;
	len -= n;
	if (!len)
		return 0;
	ret = image_read(flow->image, flow->next, (uint8_t *)buf + n, len);
	if (ret)
		return err_errno(err, -ret, STATUS_NOINPUT, "cannot be read");
	flow->next += len;
	flow->left -= len;
	return 0;
}

static int flow_write(struct flow *flow, const uint8_t *buf, size_t len, struct err *err)
{
	if (len > flow->max - flow->written)
		return err_set(err, EFBIG, STATUS_CONFIG,
			       "unpacks to more than %" PRIu64 " bytes, the most that fits",
			       flow->max);
	while (len) {
		ssize_t n = pwrite(flow->fd, buf, len, (off_t)flow->written);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			flow->full = true;
			return err_errno(err, n ? errno : ENOSPC, STATUS_OSERR,
					 "can't be unpacked into a temporary file");
		}
		buf += n;
		len -= (size_t)n;
		flow->written += (uint64_t)n;
	}
	return 0;
}

static int ends_early(const struct flow *flow, struct err *err)
{
	return err_set(err, ENOEXEC, STATUS_CONFIG, "is damaged: its %s stream ends early",
		       flow->method);
}

static int damaged(const struct flow *flow, struct err *err)
{
	return err_set(err, ENOEXEC, STATUS_CONFIG,
		       "is damaged: its %s stream makes no sense near byte %" PRIu64, flow->method,
		       flow->next - (flow->len - flow->pos));
}

static int no_memory(struct err *err)
{
	return err_errno(err, ENOMEM, STATUS_OSERR, "can't be unpacked");
}

/* ---- Libraries that take and give bytes as it suits them ----------------------------------- */

struct piece {
	const uint8_t *in;
	size_t in_len;
	uint8_t *out;
	size_t out_len;
};

enum step { STEP_MORE, STEP_END, STEP_DAMAGED, STEP_WINDOW, STEP_NO_MEMORY };

/* Takes from in and puts to out, moving both; STEP_END at the stream's end. */
typedef enum step (*step_fn)(void *state, struct piece *piece);

static int flow_run(struct flow *flow, step_fn step, void *state, struct err *err)
{
	for (;;) {
		struct piece piece = { .out = flow->out, .out_len = OUT_SIZE };
		size_t used, made;
		enum step what;
		int ret = flow_fill(flow, 1, err);

		if (ret)
			return ret;
		piece.in = flow->in + flow->pos;
		piece.in_len = flow->len - flow->pos;
		what = step(state, &piece);
		used = flow->len - flow->pos - piece.in_len;
		made = OUT_SIZE - piece.out_len;
		flow->pos += used;
		ret = flow_write(flow, flow->out, made, err);
		if (ret)
			return ret;
		switch (what) {
		case STEP_END:
			return 0;
		case STEP_DAMAGED:
			return damaged(flow, err);
		case STEP_WINDOW:
			return err_set(err, ENOTSUP, STATUS_CONFIG,
				       "needs more than %u MiB of memory to unpack its %s stream",
				       1u << (WINDOW_LOG - 20), flow->method);
		case STEP_NO_MEMORY:
			return no_memory(err);
		case STEP_MORE:
			flow->used += used;
			if (flow->used > IDLE_MAX + flow->written + flow->written / 2)
				return damaged(flow, err);
			if (!used && !made)
				return flow->pos == flow->len && !flow->left ? ends_early(flow, err)
									     : damaged(flow, err);
		}
	}
}

static enum step gzip_step(void *state, struct piece *piece)
{
	z_stream *z = state;
	int ret;

	z->next_in = (z_const Bytef *)piece->in;
	z->avail_in = (uInt)piece->in_len;
	z->next_out = piece->out;
	z->avail_out = (uInt)piece->out_len;
	ret = inflate(z, Z_NO_FLUSH);
	piece->in_len = z->avail_in;
	piece->out_len = z->avail_out;
	switch (ret) {
	case Z_OK:
	case Z_BUF_ERROR:
		return STEP_MORE;
	case Z_STREAM_END:
		return STEP_END;
	case Z_MEM_ERROR:
		return STEP_NO_MEMORY;
	default:
		return STEP_DAMAGED;
	}
}

static int gzip_stream(struct flow *flow, struct err *err)
{
	z_stream z = { 0 };
	int ret;

	/* zlib.h, inflateInit2: 16 means a gzip header. */
	if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK)
		return no_memory(err);
	ret = flow_run(flow, gzip_step, &z, err);
	inflateEnd(&z);
	return ret;
}

static enum step xz_step(void *state, struct piece *piece)
{
	lzma_stream *xz = state;
	lzma_ret ret;

	xz->next_in = piece->in;
	xz->avail_in = piece->in_len;
	xz->next_out = piece->out;
	xz->avail_out = piece->out_len;
	ret = lzma_code(xz, LZMA_RUN);
	piece->in_len = xz->avail_in;
	piece->out_len = xz->avail_out;
	switch (ret) {
	case LZMA_OK:
	case LZMA_BUF_ERROR:
		return STEP_MORE;
	case LZMA_STREAM_END:
		return STEP_END;
	case LZMA_MEMLIMIT_ERROR:
		return STEP_WINDOW;
	case LZMA_MEM_ERROR:
		return STEP_NO_MEMORY;
	default:
		return STEP_DAMAGED;
	}
}

static int xz_stream(struct flow *flow, struct err *err)
{
	lzma_stream xz = LZMA_STREAM_INIT;
	int ret;

	if (lzma_stream_decoder(&xz, XZ_MEMORY, 0) != LZMA_OK)
		return no_memory(err);
	ret = flow_run(flow, xz_step, &xz, err);
	lzma_end(&xz);
	return ret;
}

static enum step zstd_step(void *state, struct piece *piece)
{
	ZSTD_inBuffer in = { piece->in, piece->in_len, 0 };
	ZSTD_outBuffer out = { piece->out, piece->out_len, 0 };
	size_t ret = ZSTD_decompressStream(state, &out, &in);

	piece->in_len -= in.pos;
	piece->out_len -= out.pos;
	if (!ZSTD_isError(ret))
		return ret ? STEP_MORE : STEP_END;
	switch (ZSTD_getErrorCode(ret)) {
	case ZSTD_error_frameParameter_windowTooLarge:
		return STEP_WINDOW;
	case ZSTD_error_memory_allocation:
		return STEP_NO_MEMORY;
	default:
		return STEP_DAMAGED;
	}
}

static int zstd_stream(struct flow *flow, struct err *err)
{
	ZSTD_DCtx *zstd = ZSTD_createDCtx();
	int ret;

	if (!zstd || ZSTD_isError(ZSTD_DCtx_setParameter(zstd, ZSTD_d_windowLogMax, WINDOW_LOG)))
		ret = no_memory(err);
	else
		ret = flow_run(flow, zstd_step, zstd, err);
	ZSTD_freeDCtx(zstd);
	return ret;
}

static enum step lz4_step(void *state, struct piece *piece)
{
	size_t in_len = piece->in_len, out_len = piece->out_len;
	size_t ret = LZ4F_decompress(state, piece->out, &out_len, piece->in, &in_len, NULL);

	piece->in_len -= in_len;
	piece->out_len -= out_len;
	if (LZ4F_isError(ret)) /* the number is not in the library's stable interface */
		return strcmp(LZ4F_getErrorName(ret), "ERROR_allocation_failed") ? STEP_DAMAGED
										 : STEP_NO_MEMORY;
	return ret ? STEP_MORE : STEP_END;
}

static int lz4_stream(struct flow *flow, struct err *err)
{
	LZ4F_dctx *lz4;
	int ret;

	if (LZ4F_isError(LZ4F_createDecompressionContext(&lz4, LZ4F_VERSION)))
		return no_memory(err);
	ret = flow_run(flow, lz4_step, lz4, err);
	LZ4F_freeDecompressionContext(lz4);
	return ret;
}

/* ---- What Linux calls lz4 ------------------------------------------------------------------ */

/* Blocks until there are no more: nothing says where a legacy frame ends. *end: that was the last
 * one. */
static int legacy_block(struct flow *flow, uint8_t *in, uint8_t *out, bool *end, struct err *err)
{
	uint8_t head[4];
	uint32_t len;
	int ret, made;

	ret = flow_fill(flow, sizeof(head), err);
	if (ret)
		return ret;
	*end = flow->pos == flow->len && !flow->left;
	if (*end)
		return 0;
	if (flow->len - flow->pos < sizeof(head))
		return ends_early(flow, err);
	len = bytes_get32(flow->in + flow->pos);
	/* Another frame follows; or the last four bytes are the size that Linux adds. */
	*end = len == LEGACY_MAGIC || (flow->len - flow->pos == sizeof(head) && !flow->left &&
				       len == (uint32_t)flow->written);
	if (*end)
		return 0;
	if (!len || len > LZ4_COMPRESSBOUND(LEGACY_BLOCK))
		return damaged(flow, err);
	flow->pos += sizeof(head);
	ret = flow_read(flow, in, len, err);
	if (ret)
		return ret == -ENODATA ? ends_early(flow, err) : ret;
	made = LZ4_decompress_safe((const char *)in, (char *)out, (int)len, LEGACY_BLOCK);
	if (made < 0)
		return damaged(flow, err);
	return flow_write(flow, out, (size_t)made, err);
}

static int legacy_stream(struct flow *flow, struct err *err)
{
	uint8_t *in = malloc(LZ4_COMPRESSBOUND(LEGACY_BLOCK)), *block = malloc(LEGACY_BLOCK);
	bool end = false;
	int ret = 0;

	if (!in || !block) {
		ret = no_memory(err);
		goto out;
	}
	flow->pos += 4; /* its magic */
	while (!ret && !end)
		ret = legacy_block(flow, in, block, &end, err);
out:
	free(in);
	free(block);
	return ret;
}

/* ---- Which one ----------------------------------------------------------------------------- */

#define MAGIC(text) .magic = (text), .len = sizeof(text) - 1

/* RFC 1952, 2.3.1 (method 8, deflate, is the only one); The .xz File Format, 2.1.1.1; RFC 8878,
 * 3.1.1; LZ4 Frame Format Description, "General Structure" and "Legacy frame". */
static const struct method {
	const char *name;
	const char *magic;
	size_t len;
	int (*stream)(struct flow *flow, struct err *err); /* NULL: known by name alone */
} methods[] = {
	{ "gzip", MAGIC("\x1f\x8b\x08"), gzip_stream },
	{ "xz", MAGIC("\xfd\x37zXZ\0"), xz_stream },
	{ "zstd", MAGIC("\x28\xb5\x2f\xfd"), zstd_stream },
	{ "lz4", MAGIC("\x04\x22\x4d\x18"), lz4_stream },
	{ "lz4", MAGIC("\x02\x21\x4c\x18"), legacy_stream },
	/* Linux, lib/decompress.c and lib/decompress_unlzo.c, names what else a kernel may be. */
	{ "bzip2", MAGIC("BZh"), NULL },
	{ "lzma", MAGIC("\x5d\0\0"), NULL },
	{ "lzo", MAGIC("\x89LZO"), NULL },
};

static const struct method *find_method(const uint8_t *head, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		if (methods[i].len <= len && !memcmp(head, methods[i].magic, methods[i].len))
			return &methods[i];
	}
	return NULL;
}

const char *unpack_method(const uint8_t *head, size_t len)
{
	const struct method *method = find_method(head, len);

	return method && method->stream ? method->name : NULL;
}

/* Streams of the same kind may follow one another: together they are one content (RFC 1952, 2.2;
 * RFC 8878, 3). What else follows is not ours. */
static int unpack_all(struct flow *flow, struct err *err)
{
	const struct method *method;
	int ret = flow_fill(flow, UNPACK_HEAD, err);

	if (ret)
		return ret;
	method = find_method(flow->in, flow->len);
	if (!method)
		return err_set(err, ENOTSUP, STATUS_CONFIG,
			       "is compressed in a way that is not known here: gzip, xz, zstd and "
			       "lz4 are");
	if (!method->stream)
		return err_set(err, ENOTSUP, STATUS_CONFIG,
			       "is compressed with %s; gzip, xz, zstd and lz4 can be unpacked",
			       method->name);
	flow->method = method->name;
	do {
		ret = method->stream(flow, err);
		if (!ret)
			ret = flow_fill(flow, UNPACK_HEAD, err);
	} while (!ret && find_method(flow->in + flow->pos, flow->len - flow->pos) == method);
	if (!ret && !flow->written)
		return err_set(err, ENOEXEC, STATUS_CONFIG, "unpacks to nothing");
	return ret;
}

int unpack_stream(const struct unpack_part *part, int fd, uint64_t *size, bool *full,
		  struct err *err)
{
	struct flow flow = { .image = part->image,
			     .next = part->offset,
			     .left = part->len,
			     .fd = fd,
			     .max = part->max };
	int ret;

	if (!bytes_inside(part->offset, part->len, 0, part->image->size))
		return err_set(
			err, ENOEXEC, STATUS_CONFIG,
			"is cut off: what is compressed in it reaches beyond the file's end");
	flow.in = malloc(IN_SIZE);
	flow.out = malloc(OUT_SIZE);
	ret = flow.in && flow.out ? unpack_all(&flow, err) : no_memory(err);
	free(flow.in);
	free(flow.out);
	*full |= flow.full;
	if (!ret)
		*size = flow.written;
	return ret;
}
