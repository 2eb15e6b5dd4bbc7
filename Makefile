# Stoop: build, try, check. `make help` lists what there is.
BUILD := build
TOOLS := $(or $(STOOP_TOOLS),$(HOME)/.cache/stoop/tools)
CLANG_FORMAT := $(TOOLS)/venv/bin/clang-format
MESON_FLAGS ?=

.PHONY: all demo check check-fast check-fresh bench format docs setup clean help FORCE
.DELETE_ON_ERROR:

all: $(BUILD)/stoop.stripped ## build/stoop (optimised, hardened) and build/stoop.stripped for release

demo: $(BUILD)/.setup-all $(BUILD)/stoop ## an event and what becomes of it, on a Kubernetes of its own
	@tools/demo

check: $(BUILD)/.setup-all ## everything that CI checks
	@tools/check

check-fast: $(BUILD)/.setup-all ## the inner loop: formatting, layers, linter, unit tests
	@tools/check --fast

check-fresh: $(BUILD)/.setup-all ## set-up, build and unit tests on bare Debian 12 and Debian 13 roots
	@tools/check-fresh

bench: $(BUILD)/.setup-all $(BUILD)/stoop ## the benchmarks: beside a floor, and on Kubernetes beside kubectl
	@bench/run
	@bench/cluster-run

format: $(BUILD)/.setup-all ## every C file as .clang-format says
	@find src tests bench -name '*.[ch]' -exec $(CLANG_FORMAT) -i {} +

docs: $(BUILD)/.setup-all $(BUILD)/build.ninja ## what follows from the descriptors: documents, JSON Schema
	@tools/gen-docs

setup: $(BUILD)/.setup-all ## install what all this needs (tools/setup)

clean: ## remove build/
	rm -rf $(BUILD)

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 24

# Ninja knows best what has changed.
$(BUILD)/stoop: FORCE | $(BUILD)/build.ninja
	@ninja -C $(BUILD) stoop

$(BUILD)/stoop.stripped: $(BUILD)/stoop
	@strip -o $@ $<

$(BUILD)/build.ninja: | $(BUILD)/.setup-build
	@meson setup $(BUILD) $(MESON_FLAGS)

# Set up once, and again when the list of what is needed has changed.
$(BUILD)/.setup-%: tools/setup
	@tools/setup $*
	@mkdir -p $(BUILD) && touch $@

FORCE:
