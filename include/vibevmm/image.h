/* image.h: an image file: looked at when planning, copied into guest memory when building.
 *
 * The plan opens the image, reads its headers and closes it; the machine opens it again and refuses
 * a file that changed its size in between.
 */
#ifndef VIBEVMM_IMAGE_H
#define VIBEVMM_IMAGE_H

#include <stdint.h>

#include <vibevmm/diag.h>
#include <vibevmm/err.h>
#include <vibevmm/memory.h>

struct image {
	int fd;
	uint64_t size;
	const char *path;
};

/* Opens a regular file that isn't empty; reports to diags at mark otherwise. 0 or -errno. */
int image_open(struct image *image, const char *path, struct mark mark, struct diags *diags);

/* The same for load; the size must be what it was. */
int image_reopen(struct image *image, const char *path, uint64_t size, struct err *err);

void image_close(struct image *image);

/* Reads exactly len bytes at offset. 0, -EIO when the file ends before, or -errno. */
int image_read(const struct image *image, uint64_t offset, void *buf, uint64_t len);

/* Reads file bytes straight into guest memory that the plan reserved. */
int image_load(const struct image *image, uint64_t offset, struct memory *memory, uint64_t gpa,
	       uint64_t len, struct err *err);

/* All of a file whose size was planned: image_reopen, image_load, image_close. */
int image_load_file(const char *path, uint64_t size, struct memory *memory, uint64_t gpa,
		    struct err *err);

#endif
