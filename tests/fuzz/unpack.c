/* unpack.c: any bytes as a compressed kernel: what comes out is bounded, and errors have words. */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vibevmm/bytes.h>

#include "fuzz.h"

#include "../../src/boot/unpack_private.h"

#define MAX (1u << 20)

static void fuzz_one(const uint8_t *data, size_t size)
{
	struct err err = { 0 };
	static int in = -1, out = -1;
	struct image image;
	struct unpack_part part = { .image = &image, .max = MAX };
	uint64_t made = MAX + 1;
	bool full = false;
	int ret;

	if (in < 0) {
		in = memfd_create("in", MFD_CLOEXEC);
		out = memfd_create("out", MFD_CLOEXEC);
	}
	must(in >= 0 && !ftruncate(in, 0) && pwrite(in, data, size, 0) == (ssize_t)size);
	must(out >= 0 && !ftruncate(out, 0));
	image = (struct image){ .fd = in, .size = size, .path = "image" };
	ret = unpack_find(&image, &part.offset, &part.len, &err);
	if (ret) {
		must(ret == -ENOENT ? !err.text[0] : !!err.text[0]);
		part.len = size; /* all of it, then */
		err.text[0] = 0;
	}
	must(bytes_inside(part.offset, part.len, 0, size));
	ret = unpack_stream(&part, out, &made, &full, &err);
	must(!full && lseek(out, 0, SEEK_END) <= MAX);
	if (ret)
		must((ret == -ENOTSUP || ret == -ENOEXEC || ret == -EFBIG) && err.text[0]);
	else
		must(made && made <= MAX && lseek(out, 0, SEEK_END) == (off_t)made);
}
