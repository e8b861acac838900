# guests.mk: assembles guests/*.S into build/guests/NAME.bin (flat) or NAME.elf.
.PHONY: guests
guests:
