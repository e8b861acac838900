/* virtio-blk-disk.S: no guest, but a disk of 64 KiB for one: a text in the first sector. */
	.ascii	"Hello from sector 0\n"
	.org	0x10000
