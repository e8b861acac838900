/* multiboot-flat.S: a Multiboot kernel in a flat file, whose header has its addresses. Linked at
 * LOAD.multiboot-flat; its header isn't at the beginning. */
	.include "multiboot.inc"

	.set	BSS, 0x10000
begin:
	.ascii	"a flat file"
	header	(PAGE_ALIGN | MEMORY_INFO | ADDRESSES)
	.long	header
	.long	begin
	.long	0			/* all of the file is loaded ... */
	.long	end + BSS		/* ... and so much is zeroed behind it */
	.long	start
start:
	cmpl	$0, end + BSS - 4
	jne	fail
	tell	flat
end:
