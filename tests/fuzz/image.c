/* image.c: any bytes as a boot image: they are called something or nothing, and what is accepted as
 * ELF lies in the file and doesn't wrap. */
#include <sys/mman.h>
#include <unistd.h>

#include <vibevmm/bytes.h>

#include "fuzz.h"

#include "../../src/boot/elf.h"
#include "../../src/boot/identify.h"

static void fuzz_one(const uint8_t *data, size_t size)
{
	static struct elf elf;
	struct err err = { 0 };
	static int fd = -1;
	struct image image;
	uint64_t sum;

	if (fd < 0)
		fd = memfd_create("image", MFD_CLOEXEC);
	must(fd >= 0 && !ftruncate(fd, 0) && pwrite(fd, data, size, 0) == (ssize_t)size);
	image = (struct image){ .fd = fd, .size = size, .path = "image" };
	identify_image(&image);
	if (elf_read(&image, &elf, &err)) {
		must(err.text[0]);
		return;
	}
	must(elf.n_segments && elf.n_segments <= ELF_MAX_SEGMENTS);
	for (unsigned i = 0; i < elf.n_segments; i++) {
		const struct elf_segment *s = &elf.segments[i];

		must(bytes_inside(s->offset, s->file_size, 0, size));
		must(s->mem_size && s->mem_size >= s->file_size);
		must(!bytes_add_wraps(s->paddr, s->mem_size - 1, &sum));
	}
}
