# vibevmm: `make help` lists the targets.
#
# Variables: VARIANT=release|debug|san   CC=gcc|clang   WERROR=1   PREFIX=/usr/local   DESTDIR=
#            ARCH=x86_64|arm64, OS=linux|macos, to build for: the host's, or by a cross compiler
#            (see there)
#            HVF=double, with ARCH=arm64: the backend for macOS upon a double of its API (tests/hvf)

SHELL    := /bin/bash
VERSION  := 0.1.0
VARIANT  ?= release
PREFIX   ?= /usr/local
WERROR   ?=
V        ?= 0

HOST_OS   := $(shell uname -s)
HOST_ARCH := $(patsubst aarch64,arm64,$(shell uname -m))
# From the command line alone: kernel developers have a variable of this name.
ARCH      := $(HOST_ARCH)
OS        := $(patsubst Darwin,macos,$(patsubst Linux,linux,$(HOST_OS)))
ifeq ($(filter linux macos,$(OS)),)
$(error OS is linux or macos, not '$(OS)')
endif
ifeq ($(filter x86_64 arm64,$(ARCH)),)
$(error ARCH is x86_64 or arm64, not '$(ARCH)')
endif

# ---- Cross-building: `make deps ARCH=arm64`, then `make ARCH=arm64` -------------------------
# The compiler is Debian's cross one (or clang); the libraries are Debian packages of that
# architecture, unpacked in build/ARCH/sysroot by tests/lab/sysroot, not installed. QEMU's user
# emulation, RUN, runs what was built.
ifeq ($(OS)-$(HOST_OS),linux-Linux)
ifneq ($(ARCH),$(HOST_ARCH))
TRIPLE   := $(patsubst arm64,aarch64,$(ARCH))-linux-gnu
CROSS    := $(TRIPLE)-
SYSROOT  := build/$(ARCH)/sysroot
AR       := $(CROSS)ar
RUN      := qemu-$(patsubst arm64,aarch64,$(ARCH)) -L /usr/$(TRIPLE) \
            -E LD_LIBRARY_PATH=$(CURDIR)/$(SYSROOT)/usr/lib/$(TRIPLE)
PKG_CONFIG := PKG_CONFIG_LIBDIR=$(SYSROOT)/usr/lib/$(TRIPLE)/pkgconfig \
              PKG_CONFIG_SYSROOT_DIR=$(SYSROOT) pkg-config
endif
endif
PKG_CONFIG ?= pkg-config
CC       := $(if $(filter default,$(origin CC)),$(CROSS)gcc,$(CC))
CC_NAME  := $(notdir $(firstword $(CC)))
ifdef CROSS
CC_FLAGS := $(if $(findstring clang,$(CC_NAME)),--target=$(TRIPLE)) \
            -isystem $(SYSROOT)/usr/include -isystem $(SYSROOT)/usr/include/$(TRIPLE)
LD_FLAGS := $(if $(findstring clang,$(CC_NAME)),--target=$(TRIPLE)) \
            -L$(SYSROOT)/usr/lib/$(TRIPLE) -Wl,-rpath-link=$(SYSROOT)/usr/lib/$(TRIPLE)
endif

# ---- For macOS: `make deps OS=macos ARCH=arm64`, then `make OS=macos ARCH=arm64` --------------
# On Linux the compiler is zig's, which has the headers of macOS's libraries; the others' come from
# Debian's packages, and the linker gets stubs of them: see tests/macos/sdk. That tells whether the
# program compiles and links, and no more: nothing here runs it.
ifeq ($(OS),macos)
CC_FLAGS := -Iinclude/macos
LD_FLAGS := -framework Hypervisor
ifneq ($(HOST_OS),Darwin)
CROSS    := macos-$(ARCH)-
SYSROOT  := build/macos/$(ARCH)
CC       := build/macos/zig/zig cc
AR       := build/macos/zig/zig ar
CC_NAME  := $(CROSS)zig
TARGET   := -target $(patsubst arm64,aarch64,$(ARCH))-macos.13.0-none -Wno-overriding-t-option \
            -UNDEBUG
CC_FLAGS += $(TARGET) -isystem $(SYSROOT)/include -isystem $(SYSROOT)/include/json-c
LD_FLAGS += $(TARGET) -L$(SYSROOT)/lib -Ftests/macos
export ZIG_GLOBAL_CACHE_DIR := $(CURDIR)/build/macos/cache
export ZIG_LOCAL_CACHE_DIR  := $(CURDIR)/build/macos/cache
endif
endif

ifneq ($(HVF:double=)$(if $(HVF),$(ARCH:arm64=)),)
$(error HVF is double, with ARCH=arm64)
endif
# One directory for each compiler and variant, so that they don't rebuild one another.
BUILD := build/$(if $(filter $(CROSS)%,$(CC_NAME)),,$(CROSS))$(CC_NAME)-$(VARIANT)$(HVF:%=-hvf)
Q     := $(if $(filter 1,$(V)),,@)

# ---- Flags ----------------------------------------------------------------------------------
PKGS      := libcyaml yaml-0.1 inih libmd zlib liblzma libzstd liblz4 json-c
ifeq ($(OS),linux)
PKGS      += liburing
endif
WARNINGS  := -Wall -Wextra -Wshadow -Wconversion -Wmissing-prototypes -Wstrict-prototypes \
             $(if $(WERROR),-Werror)
CFLAGS.release := -Os -g -fno-asynchronous-unwind-tables
CFLAGS.debug   := -O0 -g3
CFLAGS.san     := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined \
                  -fno-omit-frame-pointer
LDFLAGS.san    := -fsanitize=address,undefined
# For the fuzz targets alone, which have libFuzzer's main: see `fuzz`. Clang's.
CFLAGS.fuzz    := -O1 -g -DFUZZ -fsanitize=fuzzer-no-link,address,undefined \
                  -fno-sanitize-recover=undefined -fno-omit-frame-pointer
LDFLAGS.fuzz   := -fsanitize=fuzzer,address,undefined
ifeq ($(filter release debug san fuzz,$(VARIANT)),)
$(error VARIANT is release, debug or san, not '$(VARIANT)')
endif
# pkg-config is asked when first needed, and once: `deps` may have to install it.
ifneq ($(OS)-$(HOST_OS),macos-Linux)
PKG_CFLAGS   = $(eval PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PKGS)))$(PKG_CFLAGS)
endif
ALL_CPPFLAGS = -D_GNU_SOURCE -DVIBEVMM_VERSION='"$(VERSION)"' $(HVF:%=-DHVF_DOUBLE) -Iinclude \
               $(CC_FLAGS) $(PKG_CFLAGS) $(CPPFLAGS)
ALL_CFLAGS   = -std=gnu11 -pthread -ffunction-sections -fdata-sections -fvisibility=hidden \
               $(WARNINGS) $(CFLAGS.$(VARIANT)) $(CFLAGS)
# These small libraries are linked in where their archives exist: each shared one would cost
# 50-100 us of every start.
ifeq ($(OS),linux)
LIBDIR_C     = $(shell $(PKG_CONFIG) --variable=libdir libcyaml)
LIBS         = $(if $(wildcard $(LIBDIR_C)/libcyaml.a),$(patsubst -l%,-l:lib%.a,$(shell $(PKG_CONFIG) \
               --static --libs-only-l $(PKGS))),$(shell $(PKG_CONFIG) --libs $(PKGS))) \
               $(if $(wildcard $(LIBDIR_C)/libfdt.a),-l:libfdt.a,-lfdt)
else ifeq ($(HOST_OS),Linux)
LIBS         = $(patsubst lib%.tbd,-l%,$(notdir $(wildcard $(SYSROOT)/lib/*.tbd)))
else
LIBS         = $(shell $(PKG_CONFIG) --libs $(PKGS)) -lfdt
endif
GC.linux    := -Wl,--gc-sections -Wl,-z,relro,-z,now
GC.macos    := -Wl,-dead_strip
ALL_LDFLAGS  = -pthread $(LD_FLAGS) $(GC.$(OS)) $(LDFLAGS.$(VARIANT)) $(LDFLAGS)

# ---- Sources: a split by host or arch is a split by file -----------------------------------
# The backend for macOS is compiled everywhere; its framework is missed only where it is linked in.
SRCS := $(filter-out src/hv/kvm% %_linux.c %_macos.c,$(wildcard src/*/*.c)) \
	$(wildcard src/*/*_$(OS).c)
ifeq ($(OS),linux)
SRCS += $(if $(HVF),tests/hvf/double_vm.c tests/hvf/double_vcpu.c,\
	$(filter-out src/hv/kvm_x86_64% src/hv/kvm_arm64%,$(wildcard src/hv/kvm*.c)) \
	$(wildcard src/hv/kvm_$(ARCH)*.c))
else
# The lab is made of a Linux host's kernel and files.
SRCS := $(filter-out src/suite/lab%,$(SRCS))
endif
OBJS     := $(SRCS:%.c=$(BUILD)/%.o)
MAIN_OBJ := $(BUILD)/src/cli/main.o
LIB      := $(BUILD)/libvibevmm.a
PROG     := $(BUILD)/vibevmm
BIN      := bin/vibevmm$(if $(CROSS),$(if $(filter macos,$(OS)),-macos)-$(ARCH))$(HVF:%=-hvf)

.PHONY: all help FORCE
all: $(PROG) $(BIN) guests

FORCE:

help:
	@echo 'make demo     install what is missing, build, boot the hello guest'
	@echo 'make check    install what is missing, build, run all tests'
	@echo 'make          build bin/vibevmm and the guests'
	@echo 'make ARCH=arm64  cross-build bin/vibevmm-arm64; `make deps ARCH=arm64` gets what it takes'
	@echo 'make OS=macos ARCH=arm64  whether it compiles and links for macOS: bin/vibevmm-macos-arm64'
	@echo 'make lab      what needs a full KVM, on one inside QEMU; ONLY names some cases'
	@echo 'make hvf      the backend for macOS on arm64, upon a double of its API in the lab'
	@echo 'make bench    speed and size beside a bare KVM program and QEMU'
	@echo 'make bench-lab  the boot of Linux beside these, counted in instructions inside QEMU; ARCH=arm64'
	@echo 'make fuzz     libFuzzer on everything that reads foreign bytes; SECONDS=60 for each'
	@echo 'make lint     clang-format, cppcheck, clang-tidy, include directions'
	@echo 'make fmt      format the sources'
	@echo 'make schema   rewrite schemas/vm.schema.json, after a change of rows'
	@echo 'make install  into $$(DESTDIR)$$(PREFIX)'
	@echo 'make clean'

# What a program must be signed for to use the hypervisor, on a Mac.
ENTITLEMENTS := src/hv/hvf.entitlements

# What everything is built with and from: a change of flags or of the list of files builds anew.
$(BUILD)/:
	@mkdir -p $@
$(BUILD)/flags: FORCE | $(BUILD)/ $(SYSROOT:%=%/.packages)
	$(file >$@.new,$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS) $(LIBS) $(OBJS))
	@cmp -s $@.new $@ || mv $@.new $@
$(SYSROOT:%=%/.packages):
	@echo 'no libraries for $(ARCH) in $(SYSROOT): make deps OS=$(OS) ARCH=$(ARCH)' >&2; exit 1

# What runs once is made small; what runs at every exit is made fast.
ifeq ($(VARIANT),release)
$(foreach room,hv device host virtio pci expect,$(BUILD)/src/$(room)/%.o) $(BUILD)/src/machine/vcpu.o \
	$(BUILD)/src/base/memory.o: FAST := -O2
endif
$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	@$(if $(filter 1,$(V)),,echo '  CC      $<')
	$(Q)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(FAST) -MMD -MP -c -o $@ $<

# The page is put into this one by .incbin.
$(BUILD)/src/suite/report_html.o: src/suite/report.html

# main.c stays outside of the library, which tests link.
$(LIB): $(filter-out $(MAIN_OBJ),$(OBJS)) $(BUILD)/flags
	@$(if $(filter 1,$(V)),,echo '  AR      $@')
	$(Q)rm -f $@ && $(AR) qcs $@ $(filter %.o,$^)

$(PROG): $(MAIN_OBJ) $(LIB)
	@$(if $(filter 1,$(V)),,echo '  LINK    $@')
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)
	$(if $(filter Darwin,$(HOST_OS)),$(Q)codesign --force --sign - --entitlements $(ENTITLEMENTS) $@)

# bin/vibevmm is the program of the last variant built, and bin/vibevmm-ARCH that for a foreign
# architecture. (A copy: a link would not be rebuilt.)
$(BIN): $(PROG) FORCE
	@mkdir -p bin
	@cmp -s $< $@ || { cp $< $@.new && mv -f $@.new $@; }

-include $(OBJS:.o=.d)

# ---- Guests: GNU binutils, the native ones or a cross set ----------------------------------
include guests/guests.mk

# ---- Set-up --------------------------------------------------------------------------------
# $(call need,PACKAGES): on Debian and its kin, installs those that are missing; elsewhere the
# compiler will tell.
define need
@if command -v dpkg-query >/dev/null; then \
	missing=; \
	for p in $(1); do \
		dpkg-query -W -f '$${db:Status-Status}' $$p 2>/dev/null | grep -qx installed || \
			missing="$$missing $$p"; \
	done; \
	if [ -n "$$missing" ]; then \
		sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
		if [ -n "$$sudo" ] && ! command -v sudo >/dev/null; then \
			echo "packages are missing, and there is no sudo; as root, run:" >&2; \
			echo "    apt-get install$$missing" >&2; exit 1; \
		fi; \
		apt="$$sudo env DEBIAN_FRONTEND=noninteractive apt-get"; \
		echo "$$apt install -y --no-install-recommends$$missing"; \
		$$apt install -y -q --no-install-recommends $$missing >build/apt.log 2>&1 || { \
			echo "$$apt update, and once more"; $$apt update -q >build/apt.log 2>&1 && \
			$$apt install -y -q --no-install-recommends $$missing >>build/apt.log 2>&1; \
		} || { tail -n 20 build/apt.log; echo "could not install:$$missing" >&2; exit 1; }; \
	fi; \
fi
endef

DEPS       := gcc libc6-dev make pkg-config binutils libyaml-dev libcyaml-dev libinih-dev \
              libmd-dev zlib1g-dev liblzma-dev libzstd-dev liblz4-dev libfdt-dev libcmocka-dev \
              liburing-dev libnbd-dev libjson-c-dev
# For a foreign ARCH: what is installed, and what tests/lab/sysroot unpacks.
DEPS_CROSS.arm64  := gcc-aarch64-linux-gnu libc6-dev-arm64-cross
DEPS_CROSS.x86_64 := gcc-x86-64-linux-gnu libc6-dev-amd64-cross
DEPS_SYSROOT      := $(filter-out libc6-dev,$(filter lib% zlib1g-dev,$(DEPS))) libcmocka0
# For macOS on Linux: what tests/macos/sdk takes headers and names of functions from.
DEPS_MACOS := libyaml-dev libcyaml-dev libinih-dev libmd-dev zlib1g-dev liblzma-dev libzstd-dev \
              liblz4-dev libfdt-dev libjson-c-dev
DEPS_LINT  := clang clang-format clang-tidy cppcheck
DEPS_BENCH := qemu-system-x86
# Tests do without these, and say what they skip.
DEPS_TEST  := python3-yaml python3-jsonschema mandoc groff-base zsh fish acpica-tools dmidecode \
              device-tree-compiler passt qemu-utils qemu-system-common libxml2-utils chromium
DEPS_FUZZ  := clang libclang-rt-14-dev xz-utils zstd lz4
# The lab's kernels are downloaded and unpacked in build/lab by tests/lab/assets, not installed.
DEPS_LAB        := cpio kmod xz-utils zstd lz4 e2fsprogs
DEPS_LAB.x86_64 := qemu-system-x86 qemu-utils passt
DEPS_LAB.arm64  := qemu-system-arm qemu-user

.PHONY: deps deps-test deps-lint deps-bench deps-fuzz deps-lab lab-assets
deps:
	@mkdir -p build
	$(call need,$(DEPS) $(if $(TRIPLE),$(DEPS_CROSS.$(ARCH))))
	$(if $(TRIPLE),@tests/lab/sysroot $(ARCH) $(DEPS_SYSROOT))
	$(if $(filter macos-Linux,$(OS)-$(HOST_OS)),@tests/macos/sdk $(ARCH) $(DEPS_MACOS))
deps-test: deps
	-$(call need,$(DEPS_TEST))
deps-lint: deps
	$(call need,$(DEPS_LINT))
deps-bench: deps
	$(call need,$(DEPS_BENCH))
deps-fuzz: deps
	$(call need,$(DEPS_FUZZ))
deps-lab: deps
	$(call need,$(DEPS_LAB) $(DEPS_LAB.$(ARCH)))
	@tests/lab/assets $(ARCH)
lab-assets:
	@tests/lab/assets $(ARCH)

# ---- Main jobs -----------------------------------------------------------------------------
.PHONY: demo check lab hvf bench bench-lab lint fmt install clean compile_commands
demo: deps
	@$(MAKE) --no-print-directory all
	@tests/demo bin/vibevmm

# Guests of a dozen bytes are written in the code of one architecture.
CONFORMANCE := $(if $(filter arm64,$(ARCH)),$(wildcard tests/conformance/test_arm64_*.c),$(filter-out \
	tests/conformance/test_arm64_%,$(wildcard tests/conformance/test_*.c))) \
	$(if $(HVF),tests/hvf/test_double.c)
# Unit tests link the library; each tests/unit/test_*.c is a program.
UNIT := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/test_*.c) \
        $(CONFORMANCE))
$(BUILD)/tests/%: tests/%.c $(LIB)
	@mkdir -p $(@D)
	@$(if $(filter 1,$(V)),,echo '  TEST    $<')
	$(Q)$(CC) $(ALL_CPPFLAGS) -Itests $(TEST_CPPFLAGS) $(filter-out -fvisibility=hidden,$(ALL_CFLAGS)) -MMD -MP \
		$(ALL_LDFLAGS) $(TEST_LDFLAGS) -o $@ $< $(LIB) $(LIBS) -lcmocka
-include $(UNIT:=.d)
# This one makes the Nth allocation fail.
$(BUILD)/tests/unit/test_rows: TEST_LDFLAGS := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc
# This one has no io_uring, and disks that wait.
$(BUILD)/tests/unit/test_disk_pool: TEST_LDFLAGS := -Wl,--wrap=io_uring_queue_init,--wrap=preadv
# This one has the kqueue of another system.
$(BUILD)/tests/unit/test_event_kqueue: TEST_CPPFLAGS := -Itests/macos
# And this one has its own clock, owners and full disks.
$(BUILD)/tests/unit/test_unpack_cache: \
	TEST_LDFLAGS := -Wl,--wrap=clock_gettime,--wrap=fstat,--wrap=pwrite

.PHONY: tests tests-hvf
tests: all $(UNIT)
# With ARCH=arm64 HVF=double: what tests/hvf/run runs.
tests-hvf: all $(CONFORMANCE:tests/%.c=$(BUILD)/tests/%)

# Without the lab's kernels and QEMU that suite is skipped, and says so. An x86_64 host tests arm64
# as well, where it can get a compiler and libraries for that.
FOREIGN := $(if $(filter release-x86_64-x86_64-gcc,$(VARIANT)-$(HOST_ARCH)-$(ARCH)-$(CC)),arm64)
check: deps deps-test
	$(if $(filter release,$(VARIANT)),-@$(MAKE) --no-print-directory deps-lab)
	@$(MAKE) --no-print-directory tests
	$(if $(FOREIGN),@if $(MAKE) --no-print-directory ARCH=$(FOREIGN) deps-lab; then \
		$(MAKE) --no-print-directory ARCH=$(FOREIGN) tests || exit; \
		$(if $(filter arm64,$(FOREIGN)),$(MAKE) --no-print-directory ARCH=arm64 HVF=double tests-hvf || exit;) fi)
	@tests/run $(BUILD) $(FOREIGN)

lab: deps-lab
	@$(MAKE) --no-print-directory tests
	@ran=; for kind in '' --iommu $(if $(filter arm64,$(ARCH)),'--gic 2'); do \
		BUILD=$(BUILD) tests/lab/lab --arch $(ARCH) $$kind suite '$(or $(ONLY),.)'; \
		case $$? in 0) ran=1 ;; 64) ;; *) exit 1 ;; esac; \
	done; [ "$$ran" ] # 64: no case of this kind matches

hvf:
	@$(MAKE) --no-print-directory ARCH=arm64 deps-lab
	@$(MAKE) --no-print-directory ARCH=arm64 HVF=double tests-hvf
	@tests/hvf/run

bench: deps-bench
	@$(MAKE) --no-print-directory all
	@PKGS="$(PKGS)" tests/bench/run $(BUILD)
bench-lab: deps-lab
	@$(MAKE) --no-print-directory all
	@tests/bench/lab $(BUILD) $(ARCH)
	$(if $(filter x86_64,$(ARCH)),@tests/bench/lab_devices $(BUILD))

# Each target is built twice: with libFuzzer and sanitizers, and as a plain program that gives the
# inputs found to a build whose time and memory mean something. SECONDS is for each target; ONLY
# names some of them.
SECONDS ?= 60
FUZZ := $(patsubst tests/%.c,%,$(wildcard tests/fuzz/*.c))
# Its own clock, timers and console come before the library's.
$(BUILD)/tests/fuzz/device: LDFLAGS += -Wl,--allow-multiple-definition
.PHONY: fuzz fuzz-build
fuzz-build: $(FUZZ:%=$(BUILD)/tests/%)
-include $(FUZZ:%=$(BUILD)/tests/%.d)
fuzz: deps-fuzz
	@$(MAKE) --no-print-directory all fuzz-build
	@$(MAKE) --no-print-directory CC=clang VARIANT=fuzz fuzz-build
	@tests/fuzz/run build/clang-fuzz $(BUILD) $(SECONDS) $(ONLY)

C_FILES = $(wildcard src/*/*.[ch] include/*/*.h include/macos/*/*.h tests/*/*.[ch] tests/*.h)
lint: deps-lint
	@clang-format --dry-run -Werror $(C_FILES)
	@tests/lint/includes
	@cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,portability,performance \
		--inline-suppr --suppress=missingIncludeSystem -Iinclude -D__linux__ -D__x86_64__ \
		-j 2 src
	@$(MAKE) --no-print-directory -j 2 $(SRCS:%.c=build/lint/%.ok)
	$(if $(wildcard build/arm64/sysroot/.packages),@$(MAKE) --no-print-directory ARCH=arm64 \
		$(patsubst %.c,build/lint/%.ok,$(wildcard src/hv/kvm_arm64*.c)))
	@echo 'lint: clean'

# One mark for each file, so that clang-tidy reads again only what changed. The check that is off
# wants C11's Annex K, which glibc doesn't have.
build/lint/%.ok: %.c $(wildcard include/vibevmm/*.h src/*/*.h src/*/*.def)
	@mkdir -p $(@D)
	@echo '  TIDY    $<'
	@clang-tidy --quiet --warnings-as-errors='*' \
		--checks=-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling \
		$< -- $(CROSS:%=--target=$(TRIPLE)) $(ALL_CPPFLAGS) -std=gnu11 2>$@.log || { cat $@.log; exit 1; }
	@touch $@

fmt:
	clang-format -i $(C_FILES)

# What is made from the rows and committed.
.PHONY: schema
schema: $(PROG)
	$(RUN) $(PROG) schema >$(BUILD)/vm.schema.json && cp $(BUILD)/vm.schema.json schemas/vm.schema.json

SHARE        := $(DESTDIR)$(PREFIX)/share
INSTALL_DIRS := $(DESTDIR)$(PREFIX)/bin $(addprefix $(SHARE)/,vibevmm/configs vibevmm/guests \
                man/man1 man/man5 \
                bash-completion/completions zsh/site-functions fish/vendor_completions.d)
# $(call install-made,ARGUMENTS,FILE): what the program prints.
install-made  = $(RUN) $(PROG) $(1) >$(BUILD)/made && install -m 644 $(BUILD)/made $(SHARE)/$(2)
# The canned configs go with the guests that they boot.
install: all
	install -d $(INSTALL_DIRS)
	install -s --strip-program=$(CROSS)strip -m 755 $(PROG) $(DESTDIR)$(PREFIX)/bin/vibevmm
	install -m 644 $(GUESTS) $(SHARE)/vibevmm/guests
	@for f in configs/*.yaml; do \
		sed 's|\.\./build/guests/|../guests/|' $$f >$(SHARE)/vibevmm/$$f && \
			chmod 644 $(SHARE)/vibevmm/$$f || exit 1; \
	done
	install -m 644 schemas/vm.schema.json $(SHARE)/vibevmm
	$(call install-made,man 1,man/man1/vibevmm.1)
	$(call install-made,man 5,man/man5/vibevmm.yaml.5)
	$(call install-made,completion bash,bash-completion/completions/vibevmm)
	$(call install-made,completion zsh,zsh/site-functions/_vibevmm)
	$(call install-made,completion fish,fish/vendor_completions.d/vibevmm.fish)

clean:
	rm -rf build bin
