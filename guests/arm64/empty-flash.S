/* empty-flash.S: no program: what a flash of 256 KiB holds before anything is written. */
	.fill	0x40000, 1, 0xff
