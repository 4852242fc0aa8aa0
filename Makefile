# SPDX-License-Identifier: MIT
#
# The face of the build; meson and ninja do the work underneath.
#
#	make			the library and the programs, into build/
#	make demo [SOURCE=dir:]	the main job on real data; installs what is missing
#	make check		all tests; installs what is missing
#	make bench		against budgets, and other ways to the same files
#	make install		into $(DESTDIR)$(PREFIX)
#	make asan | tsan	all tests under the sanitizers
#	make fuzz [RUNS=n]	the decoders against random input
#	make tidy		the rules of the tree
#	make clean
BUILD  ?= build
PREFIX ?= /usr/local
RUNS   ?= 1000000
SOURCE ?= 9p:

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD) $(TARGETS)
	@tools/link-programs $(BUILD)

%/build.ninja:
	@command -v meson >/dev/null || { echo "make: no meson; run tools/deps" >&2; exit 1; }
	meson setup $* $(MESON)

demo:
	@tools/deps build test
	@$(MAKE) --no-print-directory all
	@BUILD=$(BUILD) tools/demo "$(SOURCE)"

check:
	@BUILD=$(BUILD) tools/check

asan:
	@BUILD=build-asan SANITIZE=address tools/check

tsan:
	@BUILD=build-tsan SANITIZE=thread tools/check

# What is measured or installed: without checks of lock ranks, without tests.
release:
	@$(MAKE) --no-print-directory all BUILD=build-release \
		TARGETS="front/unetfs front/unetfs.1 \
			bench/unetfs-load bench/unetfs-hit bench/unetfs-core-bench" \
		MESON="--buildtype=release -Dchecked=false --prefix=$(PREFIX)"

bench:
	@tools/deps build test bench
	@$(MAKE) --no-print-directory release
	@build-release/bench/unetfs-hit
	@build-release/bench/unetfs-core-bench -j build-release/core-bench.json
	@BUILD=build-release bench/run
	@BUILD=build-release bench/run --smb
	@BUILD=build-release bench/run --cache

install: release
	@meson configure build-release --prefix=$(PREFIX)
	@DESTDIR=$(abspath $(DESTDIR)) meson install -C build-release --no-rebuild

fuzz:
	@tools/deps build test
	@BUILD=build-fuzz tools/fuzz $(RUNS)

tidy:
	@tools/tidy

clean:
	rm -rf build build-clang build-asan build-tsan build-release build-fuzz

.PHONY: all demo check asan tsan release bench install fuzz tidy clean
