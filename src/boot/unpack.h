/* unpack.h: the compressed part of a kernel file, unpacked into an image of its own.
 *
 * A boot format calls this when planning (the plan needs to know the segments of what is inside),
 * keeps the image that it gets in plan->boot_private, loads from it and closes it in `release`:
 * what was planned is what is loaded, whatever becomes of the kernel's file meanwhile.
 *
 * gzip, xz, zstd and lz4 (both frame formats) are unpacked. All of it is hostile input: output and
 * memory are bounded, nothing is read beyond the part named. Bytes behind the stream are allowed:
 * Linux puts the unpacked size there (4 bytes; Documentation/arch/x86/boot.rst, payload_length).
 *
 * Results are kept in $XDG_CACHE_HOME/vibevmm, or ~/.cache/vibevmm: a hit costs some 50 us. An
 * entry is found by the file's identity, not by a hash of its content: device, inode, size, mtime
 * and ctime, with the offset and length of the part. (SHA-256 takes longer than to unpack lz4 or
 * zstd.) What makes that safe is ctime, which the kernel sets from its clock at every change and
 * which nobody but root can choose. It is trusted only if it
 *   - is 2 s old, so that a later change can't have the same one;
 *   - has nanoseconds: without them it comes from a filesystem that counts in seconds, or out of
 *     an image (ISO, squashfs) whose maker chose it.
 * The directory and its files are used only if they are the user's own and nobody else may write
 * them. Trouble with the cache is logged and never fails a boot. Any thread; several processes may
 * share the cache.
 */
#ifndef BOOT_UNPACK_H
#define BOOT_UNPACK_H

#include <stdint.h>

#include <vibevmm/image.h>

/* Nothing that is booted unpacks to more, whatever the caller allows. */
#define UNPACK_MAX (1ULL << 30)

/* Finds the compressed part of a kernel file that has no boot header of its own: the whole file
 * (Image.gz), or what an EFI zboot image holds. 0; -ENOENT: the file is neither, err untouched;
 * -ENOEXEC with err, as below. */
int unpack_find(const struct image *image, uint64_t *offset, uint64_t *len, struct err *err);

/* Unpacks [offset, offset + len) of image. *out then is an open file of at most max bytes, for
 * image_read, image_load and image_close; its path is image's, which must outlive it. Or, with text
 * in err that is to be put behind the file's name ("is damaged: its xz stream ends early"):
 *   -ENOTSUP  not compressed in a way known here, or needs too much memory; only the kernel's own
 *             code might unpack it
 *   -ENOEXEC  damaged, cut off, or empty
 *   -EFBIG    larger than max
 *   another   the host's trouble: out of memory, no space for a temporary file, ... */
int unpack(const struct image *image, uint64_t offset, uint64_t len, uint64_t max,
	   struct image *out, struct err *err);

#endif
