/* multiboot.c: any bytes as a Multiboot kernel: what is accepted lies in the file, and a flat image
 * below 4 GiB, with its entry inside. */
#include <sys/mman.h>
#include <unistd.h>

#include <vibevmm/bytes.h>

#include "fuzz.h"

#include "../../src/boot/multiboot.h"

static void fuzz_one(const uint8_t *data, size_t size)
{
	static struct multiboot mb;
	struct err err = { 0 };
	static int fd = -1;
	struct image image;

	if (fd < 0)
		fd = memfd_create("kernel", MFD_CLOEXEC);
	must(fd >= 0 && !ftruncate(fd, 0) && pwrite(fd, data, size, 0) == (ssize_t)size);
	image = (struct image){ .fd = fd, .size = size, .path = "kernel" };
	if (multiboot_read(&image, &mb, &err)) {
		must(err.text[0]);
		return;
	}
	must(mb.elf.n_segments && mb.elf.n_segments <= ELF_MAX_SEGMENTS);
	for (unsigned i = 0; i < mb.elf.n_segments; i++) {
		const struct elf_segment *s = &mb.elf.segments[i];

		must(bytes_inside(s->offset, s->file_size, 0, size));
		must(s->mem_size && s->mem_size >= s->file_size);
		must(!mb.flat || bytes_inside(s->paddr, s->mem_size, 0, 1ULL << 32));
		must(!mb.flat || mb.elf.entry - s->paddr < s->mem_size);
	}
}
