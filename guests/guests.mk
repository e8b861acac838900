# guests.mk: assembles guests/ARCH/NAME.S with GNU binutils, native or cross.
#
# A guest with a NAME.ld beside it is an ELF file, build/guests/NAME.elf. Any other is flat: one
# section, .text, linked at 0x1000 (or at LOAD.NAME) and stripped to its bytes, NAME.bin; its
# NAME.elf stays there to be disassembled. Names are unique over all architectures.

X86_64_CROSS ?= $(if $(filter x86_64,$(HOST_ARCH)),,x86_64-linux-gnu-)
ARM64_CROSS  ?= $(if $(filter arm64,$(HOST_ARCH)),,aarch64-linux-gnu-)

# $(call guest_names,ARCH,CROSS PREFIX): none for lack of an assembler of a foreign architecture.
guest_names = $(if $(filter $(HOST_ARCH),$(1))$(shell command -v $(2)as),$(patsubst \
	guests/$(1)/%.S,%,$(wildcard guests/$(1)/*.S)),$(info no $(2)as: the $(1) guests are left out))
GUESTS_x86_64 := $(call guest_names,x86_64,$(X86_64_CROSS))
GUESTS_arm64  := $(if $(wildcard guests/arm64/*.S),$(call guest_names,arm64,$(ARM64_CROSS)))
GUEST_NAMES   := $(GUESTS_x86_64) $(GUESTS_arm64)
GUEST_ELFS    := $(notdir $(basename $(wildcard guests/*/*.ld)))
GUESTS        := $(patsubst %,build/guests/%.elf,$(filter $(GUEST_ELFS),$(GUEST_NAMES))) \
                 $(patsubst %,build/guests/%.bin,$(filter-out $(GUEST_ELFS),$(GUEST_NAMES)))

# 32-bit ELF guests.
AS_FLAGS.hello-elf32 := --32
LD_FLAGS.hello-elf32 := -m elf_i386
AS_FLAGS.multiboot-elf := --32
LD_FLAGS.multiboot-elf := -m elf_i386

# Flat ones that are not linked at 0x1000.
LOAD.multiboot-flat := 0x100000
LOAD.firmware       := 0x0
LOAD.board          := 0x0
LOAD.bzimage        := 0x0

# $(call guest_rules,ARCH,CROSS PREFIX): a guest's stem is its NAME.
define guest_rules
$(GUESTS_$(1):%=build/guests/%.o): build/guests/%.o: guests/$(1)/%.S guests/guests.mk
	@mkdir -p $$(@D)
	@$$(if $$(filter 1,$$(V)),,echo '  AS      $$<')
	$$(Q)$(2)as $$(AS_FLAGS.$$*) -Iguests/$(1) --MD $$(@:.o=.d) -o $$@ $$<

$(GUESTS_$(1):%=build/guests/%.elf): build/guests/%.elf: build/guests/%.o
	$$(Q)$(2)ld $$(LD_FLAGS.$$*) --build-id=none -z noexecstack -z max-page-size=4096 -o $$@ \
		$$(if $$(filter $$*,$$(GUEST_ELFS)),-T guests/$(1)/$$*.ld,-e 0 \
		-Ttext=$$(or $$(LOAD.$$*),0x1000)) $$<

$(GUESTS_$(1):%=build/guests/%.bin): build/guests/%.bin: build/guests/%.elf
	$$(Q)$(2)objcopy -O binary -j .text $$< $$@
endef
$(if $(GUESTS_x86_64),$(eval $(call guest_rules,x86_64,$(X86_64_CROSS))))
$(if $(GUESTS_arm64),$(eval $(call guest_rules,arm64,$(ARM64_CROSS))))

$(foreach n,$(GUEST_ELFS),$(eval build/guests/$(n).elf: $(wildcard guests/*/$(n).ld)))
-include $(GUEST_NAMES:%=build/guests/%.d)

.PHONY: guests
guests: $(GUESTS)

# The terminal and slow reader of tests/guest/run, which runs here.
ifndef CROSS
build/tests/peer: tests/guest/peer.c
	@mkdir -p $(@D)
	@$(if $(filter 1,$(V)),,echo '  CC      $<')
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE -O2 $(WARNINGS) -o $@ $<
tests: build/tests/peer
endif
