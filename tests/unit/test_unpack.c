/* test_unpack.c: compressed kernels come out whole, or not at all and with a reason. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lz4.h>
#include <lz4frame.h>
#include <lzma.h>
#include <zstd.h>

#include <cmocka.h>

#include <vibevmm/bytes.h>

#include "unpack_helpers.h"

#include "../../src/boot/unpack.h"
#include "../../src/boot/unpack_private.h"

/* ---- Compressing --------------------------------------------------------------------------- */

#define LEGACY_BLOCK (8u << 20)

static void append(struct bytes *to, const void *p, size_t len)
{
	to->p = realloc(to->p, to->len + len + 1);
	assert_non_null(to->p);
	memcpy(to->p + to->len, p, len);
	to->len += len;
}

static void append32(struct bytes *to, uint32_t v)
{
	uint8_t le[4];

	bytes_put32(le, v);
	append(to, le, sizeof(le));
}

/* As Linux does: with the x86 filter, and CRC32. */
static struct bytes pack_xz(const uint8_t *p, size_t len)
{
	struct bytes b = room(len + len / 8);
	lzma_options_lzma lzma;
	lzma_filter filters[] = { { LZMA_FILTER_X86, NULL },
				  { LZMA_FILTER_LZMA2, &lzma },
				  { LZMA_VLI_UNKNOWN, NULL } };
	size_t at = 0;

	assert_false(lzma_lzma_preset(&lzma, 0));
	assert_int_equal(
		lzma_stream_buffer_encode(filters, LZMA_CHECK_CRC32, NULL, p, len, b.p, &at, b.len),
		LZMA_OK);
	b.len = at;
	return b;
}

static struct bytes pack_zstd(const uint8_t *p, size_t len)
{
	struct bytes b = room(ZSTD_compressBound(len));
	ZSTD_CCtx *zstd = ZSTD_createCCtx();

	ZSTD_CCtx_setParameter(zstd, ZSTD_c_checksumFlag, 1);
	b.len = ZSTD_compress2(zstd, b.p, b.len, p, len);
	assert_false(ZSTD_isError(b.len));
	ZSTD_freeCCtx(zstd);
	return b;
}

static struct bytes pack_lz4(const uint8_t *p, size_t len)
{
	LZ4F_preferences_t prefs = { .frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled };
	struct bytes b = room(LZ4F_compressFrameBound(len, &prefs));

	b.len = LZ4F_compressFrame(b.p, b.len, p, len, &prefs);
	assert_false(LZ4F_isError(b.len));
	return b;
}

static struct bytes pack_legacy(const uint8_t *p, size_t len)
{
	struct bytes b = { 0 };

	append32(&b, 0x184c2102);
	for (size_t n; len; p += n, len -= n) {
		struct bytes block = room(LZ4_COMPRESSBOUND(LEGACY_BLOCK));
		int packed;

		n = len < LEGACY_BLOCK ? len : LEGACY_BLOCK;
		packed = LZ4_compress_default((const char *)p, (char *)block.p, (int)n,
					      (int)block.len);
		assert_true(packed > 0);
		append32(&b, (uint32_t)packed);
		append(&b, block.p, (size_t)packed);
		free(block.p);
	}
	return b;
}

static const struct method {
	const char *name;
	struct bytes (*pack)(const uint8_t *p, size_t len);
	bool checked; /* a checksum covers the content */
} methods[] = {
	{ "gzip", pack_gzip, true }, { "xz", pack_xz, true },	    { "zstd", pack_zstd, true },
	{ "lz4", pack_lz4, true },   { "lz4", pack_legacy, false },
};

#define EACH_METHOD(m) (const struct method *m = methods; m < methods + ARRAY_SIZE(methods); m++)

/* Text that compresses, with a count in it so that no part is like another. */
static uint8_t *content(size_t len)
{
	uint8_t *p = malloc(len + 32);

	assert_non_null(p);
	for (size_t i = 0; i < len; i += 16)
		snprintf((char *)p + i, 32, "line %08zx...", i * 2654435761u & 0xffffffff);
	return p;
}

/* ---- Streams-------------------------------------------------------------------------------- */

/* unpack of a part of some bytes, which gives exactly `want`; or the error it gave. */
static int unpack_bytes(const void *p, size_t len, uint64_t offset, uint64_t part, uint64_t max,
			const void *want, size_t want_len, struct err *err)
{
	struct image image = file_of("kernel", p, len), out = { -7, 7, "untouched" };
	int ret = unpack(&image, offset, part, max, &out, err);

	if (ret) {
		assert_int_equal(out.fd, -7);
		assert_int_equal(out.size, 7);
		assert_string_equal(out.path, "untouched");
		assert_true(err->text[0]);
	} else {
		uint8_t *got = malloc(out.size + 1);

		assert_int_equal(image_read(&out, 0, got, out.size), 0);
		assert_string_equal(out.path, "kernel");
		if (out.size != want_len || memcmp(got, want, want_len) != 0)
			ret = 1;
		free(got);
		image_close(&out);
	}
	image_close(&image);
	return ret;
}

static int unpack_all(struct bytes b, const void *want, size_t want_len, struct err *err)
{
	return unpack_bytes(b.p, b.len, 0, b.len, UNPACK_MAX, want, want_len, err);
}

static void test_round_trip(void **state)
{
	size_t len = LEGACY_BLOCK + 12345; /* two of the largest blocks */
	uint8_t *p = content(len);
	struct err err;

	(void)state;
	for
		EACH_METHOD(m)
		{
			struct bytes b = m->pack(p, len);

			assert_string_equal(unpack_method(b.p, b.len), m->name);
			assert_int_equal(unpack_all(b, p, len, &err), 0);
			free(b.p);
		}
	free(p);
}

static void test_part(void **state)
{
	uint8_t *p = content(100000);
	struct err err;

	(void)state;
	for
		EACH_METHOD(m)
		{
			struct bytes b = m->pack(p, 100000), file = { 0 };
			size_t part;

			append(&file, "before it", 9);
			append(&file, b.p, b.len);
			append32(&file, 100000); /* as Linux's build does */
			part = file.len - 9;
			append(&file, "behind it", 9);
			assert_int_equal(
				unpack_bytes(file.p, file.len, 9, part, 100000, p, 100000, &err),
				0);
			assert_int_equal(unpack_bytes(file.p, file.len, 9, file.len, 100000, p,
						      100000, &err),
					 -ENOEXEC);
			assert_non_null(strstr(err.text, "beyond the file's end"));
			assert_int_equal(unpack_bytes(file.p, file.len, UINT64_MAX, part, 100000, p,
						      100000, &err),
					 -ENOEXEC);
			free(b.p);
			free(file.p);
		}
	free(p);
}

static void test_trailing(void **state)
{
	uint8_t *p = content(5000);
	struct err err;

	(void)state;
	for
		EACH_METHOD(m)
		{
			struct bytes b = m->pack(p, 5000), twice = { 0 };
			uint8_t *pp = malloc(10000);

			memcpy(pp, p, 5000);
			memcpy(pp + 5000, p, 5000);
			append(&twice, b.p, b.len);
			append(&twice, b.p, b.len);
			assert_int_equal(unpack_all(twice, pp, 10000, &err), 0);
			append(&b, "\xff\xff\xff\xff\xff", 5);
			/* Nothing says where a legacy frame ends: what follows must be a block. */
			assert_int_equal(unpack_all(b, p, 5000, &err), m->checked ? 0 : -ENOEXEC);
			free(b.p);
			free(twice.p);
			free(pp);
		}
	free(p);
}

static void test_truncated(void **state)
{
	uint8_t *p = content(600);
	char want[64];
	struct err err;

	(void)state;
	for
		EACH_METHOD(m)
		{
			struct bytes b = m->pack(p, 600);

			snprintf(want, sizeof(want), "is damaged: its %s stream ends early",
				 m->name);
			for (size_t len = 8; len < b.len; len++) {
				struct bytes cut = { b.p, len };

				assert_int_equal(unpack_all(cut, "", 0, &err), -ENOEXEC);
				assert_string_equal(err.text, want);
			}
			for (size_t len = 0; len < 3; len++) {
				struct bytes cut = { b.p, len };

				assert_int_equal(unpack_all(cut, "", 0, &err), -ENOTSUP);
			}
			free(b.p);
		}
	free(p);
}

static void test_flipped(void **state)
{
	uint8_t *p = content(160);
	struct err err;
	int ret;

	(void)state;
	for
		EACH_METHOD(m)
		{
			struct bytes b = m->pack(p, 160);
			unsigned refused = 0;

			for (size_t bit = 0; bit < 8 * b.len; bit++) {
				b.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
				ret = unpack_all(b, p, 160, &err);
				/* What no checksum covers (a name, a time, a level) makes no
				 * difference. */
				if (m->checked)
					assert_int_not_equal(ret, 1);
				refused += ret < 0;
				b.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
			}
			assert_true(refused > 20);
			free(b.p);
		}
	free(p);
}

static void test_damaged_place(void **state)
{
	uint8_t *p = content(200000);
	struct bytes b = pack_gzip(p, 200000);
	struct err err;

	(void)state;
	memset(b.p + 10, 0xff, 10);
	assert_int_equal(unpack_all(b, p, 200000, &err), -ENOEXEC);
	assert_string_equal(err.text, "is damaged: its gzip stream makes no sense near byte 11");
	free(b.p);
	free(p);
}

static void test_limit(void **state)
{
	uint8_t *p = calloc(1, 12u << 20);
	struct err err;

	(void)state;
	for
		EACH_METHOD(m)
		{
			struct bytes b = m->pack(p, 12u << 20);

			assert_true(b.len < 1u << 20);
			assert_int_equal(
				unpack_bytes(b.p, b.len, 0, b.len, 12u << 20, p, 12u << 20, &err),
				0);
			assert_int_equal(
				unpack_bytes(b.p, b.len, 0, b.len, (12u << 20) - 1, p, 1, &err),
				-EFBIG);
			assert_string_equal(
				err.text,
				"unpacks to more than 12582911 bytes, the most that fits");
			free(b.p);
		}
	free(p);
}

static void test_nothing(void **state)
{
	struct err err;

	(void)state;
	for
		EACH_METHOD(m)
		{
			struct bytes b = m->pack((const uint8_t *)"", 0);

			assert_int_equal(unpack_all(b, "", 0, &err), -ENOEXEC);
			assert_string_equal(err.text, "unpacks to nothing");
			free(b.p);
		}
}

/* A header that asks for a window of 1 or 2 GiB is enough. */
static void test_window(void **state)
{
	/* RFC 8878, 3.1.1.1.2: exponent 21 means 2^31. */
	static uint8_t zstd[] = { 0x28, 0xb5, 0x2f, 0xfd, 0, 21 << 3, 1, 0, 0, 0, 0, 0 };
	lzma_options_lzma lzma;
	lzma_filter filters[] = { { LZMA_FILTER_LZMA2, &lzma }, { LZMA_VLI_UNKNOWN, NULL } };
	lzma_block block = { .check = LZMA_CHECK_CRC32,
			     .compressed_size = LZMA_VLI_UNKNOWN,
			     .uncompressed_size = LZMA_VLI_UNKNOWN,
			     .filters = filters };
	lzma_stream_flags flags = { .check = LZMA_CHECK_CRC32 };
	uint8_t xz[LZMA_STREAM_HEADER_SIZE + LZMA_BLOCK_HEADER_SIZE_MAX] = { 0 };
	struct err err;

	(void)state;
	assert_int_equal(unpack_all((struct bytes){ zstd, sizeof(zstd) }, "", 0, &err), -ENOTSUP);
	assert_string_equal(err.text,
			    "needs more than 128 MiB of memory to unpack its zstd stream");
	lzma_lzma_preset(&lzma, 0);
	lzma.dict_size = 1u << 30;
	assert_int_equal(lzma_stream_header_encode(&flags, xz), LZMA_OK);
	assert_int_equal(lzma_block_header_size(&block), LZMA_OK);
	assert_int_equal(lzma_block_header_encode(&block, xz + LZMA_STREAM_HEADER_SIZE), LZMA_OK);
	assert_int_equal(unpack_all((struct bytes){ xz, sizeof(xz) }, "", 0, &err), -ENOTSUP);
	assert_string_equal(err.text, "needs more than 128 MiB of memory to unpack its xz stream");
}

static void test_unknown(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *says;
	} samples[] = {
		{ "BZh91AY&SY", 10, "compressed with bzip2" },
		{ "\x5d\0\0\0\4\xff\xff", 7, "compressed with lzma" },
		{ "\x89LZO\0\r\n\x1a\n", 9, "compressed with lzo" },
		{ "\177ELF\2\1\1\0", 8, "not known here" },
		{ "\x1f\x8b\x07\0\0\0\0\0", 8, "not known here" },
		{ "", 0, "not known here" },
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
		struct bytes b = { 0 };

		append(&b, samples[i].bytes, samples[i].len);
		assert_null(unpack_method(b.p, b.len));
		assert_int_equal(unpack_all(b, "", 0, &err), -ENOTSUP);
		assert_non_null(strstr(err.text, samples[i].says));
		free(b.p);
	}
}

static void test_find(void **state)
{
	uint8_t file[256] = "\x1f\x8b\x08";
	struct image image = file_of("kernel", file, sizeof(file));
	uint64_t offset = 1, len = 2;
	struct err err = { .text = "untouched" };

	(void)state;
	assert_int_equal(unpack_find(&image, &offset, &len, &err), 0);
	assert_int_equal(offset, 0);
	assert_int_equal(len, sizeof(file));
	image_close(&image);

	memcpy(file, "MZ\0\0zimg", 8);
	bytes_put32(file + 8, 100);
	bytes_put32(file + 12, 156);
	image = file_of("kernel", file, sizeof(file));
	assert_int_equal(unpack_find(&image, &offset, &len, &err), 0);
	assert_int_equal(offset, 100);
	assert_int_equal(len, 156);
	assert_string_equal(err.text, "untouched");
	image_close(&image);

	bytes_put32(file + 12, 157);
	image = file_of("kernel", file, sizeof(file));
	assert_int_equal(unpack_find(&image, &offset, &len, &err), -ENOEXEC);
	assert_non_null(strstr(err.text, "is cut off"));
	assert_int_equal(offset, 100);
	image_close(&image);

	/* Neither, or too short to be. */
	err.text[0] = 0;
	image = file_of("kernel", file, 63);
	assert_int_equal(unpack_find(&image, &offset, &len, &err), -ENOENT);
	image_close(&image);
	image = file_of("kernel", "MZ", 2);
	assert_int_equal(unpack_find(&image, &offset, &len, &err), -ENOENT);
	assert_string_equal(err.text, "");
	image_close(&image);
}

#define NAMED(n, f)                                                                                \
	{                                                                                          \
		.name = (n), .test_func = (f), .setup_func = scratch_setup,                        \
		.teardown_func = scratch_teardown                                                  \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NAMED("what was compressed comes out again, by every method", test_round_trip),
		NAMED("a part of a file is unpacked, with a size behind it", test_part),
		NAMED("streams in a row are one content; other bytes behind are ignored",
		      test_trailing),
		NAMED("a stream cut anywhere is said to end early", test_truncated),
		NAMED("a flipped bit never gives other content unnoticed", test_flipped),
		NAMED("damage is reported with its place", test_damaged_place),
		NAMED("output is bounded to the byte", test_limit),
		NAMED("empty content is refused", test_nothing),
		NAMED("a header can't make us allocate gigabytes", test_window),
		NAMED("other methods are named, other files refused", test_unknown),
		NAMED("the compressed part of Image.gz and of zboot images is found", test_find),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, scratch_remove);
}
