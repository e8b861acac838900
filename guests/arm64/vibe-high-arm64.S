/* vibe-high-arm64.S: as hello-arm64.S, on a console at 0x90000000, where Vibe-VMM's arm64 guests
 * have it; at whatever address it is loaded. */
	.set	CONSOLE, 0x90000000
	.include "hello-arm64.S"
