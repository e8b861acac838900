/* identify.c: what a file really is, by its first bytes. */
#include <string.h>

#include <vibevmm/bytes.h>
#include <vibevmm/utf8.h>

#include "identify.h"

static const char disk_help[] =
	"a disk is not booted itself: name a kernel, or the firmware that reads the disk";

#define MAGIC(text) .magic = (text), .len = sizeof(text) - 1

/* The first row that fits wins: what stands inside of something else (a kernel that is an EFI
 * program too) comes before it. */
static const struct row {
	size_t at;
	const char *magic;
	size_t len;
	struct identity identity;
} rows[] = {
	/* System V ABI, chapter 4, "ELF Header". */
	{ 0, MAGIC("\177ELF"), { "an ELF file", NULL, "elf", false, 0 } },

	/* Kernels. Linux, Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header";
	 * arch/arm64/booting.rst, 4; arch/riscv/boot-image-header.rst; the magic numbers in
	 * arch/arm/boot/compressed/head.S and drivers/firmware/efi/libstub/zboot-header.S. */
	{ 0x202,
	  MAGIC("HdrS"),
	  { "a Linux kernel for x86 (bzImage)", NULL, "linux", false, ARCH_X86_64 } },
	{ 56,
	  MAGIC("ARM\x64"),
	  { "a Linux kernel for arm64 (Image)", NULL, "linux", true, ARCH_ARM64 } },
	{ 56, MAGIC("RSC\x05"), { "a Linux kernel for RISC-V (Image)", NULL, NULL, true, 0 } },
	{ 36,
	  MAGIC("\x18\x28\x6f\x01"),
	  { "a Linux kernel for 32-bit Arm (zImage)", NULL, NULL, true, 0 } },
	{ 4,
	  MAGIC("zimg"),
	  { "a compressed Linux kernel in an EFI program", "unpack the kernel that is in it", NULL,
	    false, 0 } },
	/* U-Boot, include/image.h, "legacy format image header" (IH_MAGIC). */
	{ 0,
	  MAGIC("\x27\x05\x19\x56"),
	  { "a U-Boot image (uImage)", "take out what it wraps: `dumpimage`", NULL, false, 0 } },

	/* Compressed files: RFC 1952, 2.3.1; The .xz File Format, 2.1.1.1; RFC 8878, 3.1.1; LZ4
	 * Frame Format Description, "General Structure" and "Legacy frame". bzip2 has no
	 * specification; it begins with "BZh", a level, and pi. */
	{ 0, MAGIC("\x1f\x8b"), { "a gzip file", "unpack it: `gzip -d`", NULL, false, 0 } },
	{ 0, MAGIC("\xfd\x37zXZ\0"), { "an xz file", "unpack it: `xz -d`", NULL, false, 0 } },
	{ 0, MAGIC("\x28\xb5\x2f\xfd"), { "a zstd file", "unpack it: `zstd -d`", NULL, false, 0 } },
	{ 0, MAGIC("\x04\x22\x4d\x18"), { "an lz4 file", "unpack it: `lz4 -d`", NULL, false, 0 } },
	{ 0, MAGIC("\x02\x21\x4c\x18"), { "an lz4 file", "unpack it: `lz4 -d`", NULL, false, 0 } },
	{ 4, MAGIC("1AY&SY"), { "a bzip2 file", "unpack it: `bzip2 -d`", NULL, false, 0 } },
	/* .ZIP File Format Specification, 4.3.7; POSIX.1 pax, "ustar Interchange Format". */
	{ 0, MAGIC("PK\3\4"), { "a zip archive", "unpack it: `unzip`", NULL, false, 0 } },
	{ 257, MAGIC("ustar"), { "a tar archive", "unpack it: `tar -x`", NULL, false, 0 } },
	/* Linux, Documentation/driver-api/early-userspace/buffer-format.rst; ar(5). */
	{ 0, MAGIC("070701"), { "a cpio archive (an initrd?)", NULL, NULL, false, 0 } },
	{ 0, MAGIC("070702"), { "a cpio archive (an initrd?)", NULL, NULL, false, 0 } },
	{ 0, MAGIC("!<arch>\n"), { "an archive of object files", "link it", NULL, false, 0 } },

	/* Disks: QEMU, docs/interop/qcow2.txt, "Header"; VMware Virtual Disk Format 1.1, "Hosted
	 * Sparse Extent Header"; [MS-VHDX] 2.2.1; Virtual Hard Disk Image Format, "Hard Disk
	 * Footer"; ECMA-119, 8.1.2. */
	{ 0, MAGIC("QFI\xfb"), { "a qcow2 disk image", disk_help, NULL, false, 0 } },
	{ 0, MAGIC("KDMV"), { "a VMDK disk image", disk_help, NULL, false, 0 } },
	{ 0, MAGIC("vhdxfile"), { "a VHDX disk image", disk_help, NULL, false, 0 } },
	{ 0, MAGIC("conectix"), { "a VHD disk image", disk_help, NULL, false, 0 } },
	{ 0x8001, MAGIC("CD001"), { "a CD image (ISO 9660)", disk_help, NULL, false, 0 } },
	/* UEFI Specification, 5.3.2. */
	{ 512, MAGIC("EFI PART"), { "a disk image with a GPT", disk_help, NULL, true, 0 } },
	/* Linux, Documentation/filesystems/ext4, "Super Block": s_magic, at 0x38 of 1024; and
	 * include/uapi/linux/magic.h. */
	{ 1080,
	  MAGIC("\x53\xef"),
	  { "an ext2, ext3 or ext4 filesystem", disk_help, NULL, true, 0 } },
	{ 0, MAGIC("hsqs"), { "a squashfs filesystem", disk_help, NULL, false, 0 } },

	/* Devicetree Specification, 5.2. */
	{ 0, MAGIC("\xd0\x0d\xfe\xed"), { "a device tree (DTB)", NULL, NULL, false, 0 } },
	/* mach-o/loader.h, MH_MAGIC_64 on a little-endian machine. */
	{ 0,
	  MAGIC("\xcf\xfa\xed\xfe"),
	  { "a Mach-O file", "link it as an ELF executable: `ld.lld`", NULL, false, 0 } },

	/* Texts. https://git-lfs.github.com/spec/v1 */
	{ 0,
	  MAGIC("version https://git-lfs.github.com/"),
	  { "a Git LFS pointer, not the file itself", "fetch the file: `git lfs pull`", NULL, false,
	    0 } },
	{ 0, MAGIC("#!"), { "a script", NULL, NULL, false, 0 } },
};

/* System V ABI, chapter 4, "ELF Header": e_machine, of files whose bytes are in our order. A 32-bit
 * PC's is for x86_64 as well. */
static enum arch elf_arch(const uint8_t *head, size_t len)
{
	if (len < 20 || head[5] != 1)
		return 0;
	switch (bytes_get16(head + 18)) {
	case 3:
	case 62:
		return ARCH_X86_64;
	case 183:
		return ARCH_ARM64;
	default:
		return 0;
	}
}

/* PE Format, "MS-DOS Stub" and "COFF File Header". */
static bool identify_pe(const uint8_t *head, size_t len, struct identity *identity)
{
	uint32_t at;

	if (len < 64 || memcmp(head, "MZ", 2) != 0)
		return false;
	*identity = (struct identity){ .name = "a DOS program",
				       .help = "only firmware or an operating system starts it" };
	at = bytes_get32(head + 0x3c);
	if (!bytes_inside(at, 6, 0, len) || memcmp(head + at, "PE\0\0", 4) != 0)
		return true;
	switch (bytes_get16(head + at + 4)) {
	case 0x8664:
		identity->name = "an EFI or Windows program for x86_64 (PE)";
		break;
	case 0xaa64:
		identity->name = "an EFI or Windows program for arm64 (PE)";
		break;
	case 0x14c:
		identity->name = "an EFI or Windows program for i386 (PE)";
		break;
	default:
		identity->name = "an EFI or Windows program (PE)";
	}
	return true;
}

/* UEFI Specification, 5.2.1: the signature, and four entries whose first byte is 0x80 or 0. A boot
 * sector alone has the signature too. */
static bool is_partitioned(const uint8_t *head, size_t len)
{
	bool used = false;

	if (len <= 512 || head[510] != 0x55 || head[511] != 0xaa)
		return false;
	for (unsigned at = 446; at < 510; at += 16) {
		if (head[at] & 0x7f)
			return false;
		used |= head[at + 4] != 0; /* its type */
	}
	return used;
}

static bool is_text(const uint8_t *head, size_t len)
{
	const char *text = (const char *)head;
	uint32_t c;
	size_t n;

	for (size_t i = 0; i < len; i += n) {
		n = utf8_decode(text + i, len - i, &c);
		if (!n && len == IDENTIFY_HEAD && len - i < 4)
			return true; /* the rest of the character was cut off */
		if (!n || (utf8_is_control(c) && !strchr("\t\n\f\r", (int)c)) || !c)
			return false;
	}
	return len > 0;
}

static bool is_zero(const uint8_t *head, size_t len)
{
	return len && !head[0] && !memcmp(head, head + 1, len - 1);
}

struct identity identify(const void *data, size_t len)
{
	const uint8_t *head = data;
	struct identity identity;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (!bytes_inside(rows[i].at, rows[i].len, 0, len) ||
		    memcmp(head + rows[i].at, rows[i].magic, rows[i].len) != 0)
			continue;
		identity = rows[i].identity;
		if (identity.format && !strcmp(identity.format, "elf"))
			identity.arch = elf_arch(head, len);
		return identity;
	}
	if (identify_pe(head, len, &identity))
		return identity;
	if (is_partitioned(head, len))
		return (struct identity){ .name = "a disk image with a partition table (MBR)",
					  .help = disk_help,
					  .flat = true };
	if (is_text(head, len))
		return (struct identity){ .name = "a text file", .flat = true };
	if (is_zero(head, len))
		return (struct identity){ .name = "a file that begins with zeros", .flat = true };
	return (struct identity){ .flat = true };
}

struct identity identify_image(const struct image *image)
{
	uint64_t len = image->size < IDENTIFY_HEAD ? image->size : IDENTIFY_HEAD;
	uint8_t head[IDENTIFY_HEAD];

	/* What can't be read now is reported by whoever needs it. */
	if (image_read(image, 0, head, len))
		len = 0;
	return identify(head, len);
}

bool identify_help(const struct plan *plan, const struct identity *identity, struct diags *diags)
{
	const struct registry *registry = plan->registry;

	if (identity->arch && identity->arch != plan->arch->arch) {
		diag_help(diags, "it is for %s, and this VM is %s", hv_arch_name(identity->arch),
			  hv_arch_name(plan->arch->arch));
		return true;
	}
	for (size_t i = 0; identity->format && i < registry->n_boots; i++) {
		if (strcmp(registry->boots[i]->type.name, identity->format) != 0)
			continue;
		diag_help(diags, "the format `%s` boots it", identity->format);
		return true;
	}
	if (identity->help)
		diag_help(diags, "%s", identity->help);
	return identity->help;
}
