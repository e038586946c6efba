# Stockroom. `make help` lists the targets; run, test and build need only Go.

SHELL := /bin/sh
GO ?= go
# The version shown by `stockroom version`: the tag, else the commit, else dev.
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
# -buildvcs=false: the version is given above, and a tree of another owner builds too.
BUILD = CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$(VERSION)"
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

# The systems that must build, tests included; the last one has ints of 32 bits.
TARGETS = linux/amd64 darwin/arm64 windows/amd64 freebsd/amd64 linux/arm

BIN ?= bin/stockroom
ARGS ?=
SYSTEMS ?=
PKG ?= ./...
BENCH ?= .
BENCHTIME ?= 1s
FUZZTIME ?= 5s
TESTFLAGS ?=

.PHONY: help build run test check fmt-check vet staticcheck race fuzz bench torture converge truth screenshots release reproduce clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/stockroom, one static binary
	$(BUILD) -o $(BIN) .

run: build ## run the demo: the appliance against a simulated shop (ARGS="--chaos wild" adds flags)
	./bin/stockroom demo $(ARGS)

# Strangers against the whole program: there an answer has to come in time, so nothing else
# runs meanwhile.
ALONE = ^Test(Strangers|ARefusedBody|AnAnswerDoesNotTell)
test: ## run the whole test suite
	$(if $(filter ./...,$(PKG)),CGO_ENABLED=0 $(GO) test -timeout 20m $(TESTFLAGS) -run '$(ALONE)' ./e2e)
	CGO_ENABLED=0 $(GO) test -timeout 20m $(TESTFLAGS) $(if $(filter ./...,$(PKG)),-skip '$(ALONE)') $(PKG)
	@.ci/skipped

check: fmt-check vet staticcheck race fuzz ## all that must pass before a commit lands: gofmt, vet for every system, staticcheck, tests with -race, short fuzzing
	@echo "check: all passed"

fmt-check:
	@files=$$(gofmt -l .); if [ -n "$$files" ]; then echo "check: gofmt would change these files, run gofmt -w on them:"; echo "$$files"; exit 1; fi

# go vet compiles all that a package is made of; for the systems that nothing else here
# is compiled for, the same checks read types from source, in a seventh of the time. (One
# is left out that go vet does not have yet: it wants the error of a killed process's pipe.)
vet:
	CGO_ENABLED=0 $(GO) vet ./...
	@$(GO) build -o bin/vet .ci/vet.go
	@for t in $(filter-out $(shell $(GO) env GOOS)/$(shell $(GO) env GOARCH),$(TARGETS)); do echo "vet $$t"; \
		CGO_ENABLED=0 GOOS=$${t%/*} GOARCH=$${t#*/} bin/vet -scannererr=false ./... || { echo "check: vet fails for $$t"; exit 1; }; done

staticcheck:
	CGO_ENABLED=0 $(GO) run $(STATICCHECK) ./...

# Generated files (docs/settings.md and the like) are compared by tests. e2e drives a
# binary that is built without the detector, so there it would watch the tests' own
# clients alone, and make them too slow to tell a late answer from a late question.
# -short: what takes long is made of the same steps again, which tell the detector nothing.
# SQLite itself is C made Go, with its own locks and memory: watched it would take four
# times as long as all the rest. Its driver, which holds our values, stays watched.
UNWATCHED = modernc.org/sqlite/lib modernc.org/libc/... modernc.org/memory
race:
	@command -v $${CC:-cc} >/dev/null 2>&1 || command -v gcc >/dev/null 2>&1 || { \
		echo "check: the race detector needs a C compiler, install one (apt-get install gcc libc6-dev)"; exit 1; }
	CGO_ENABLED=1 $(GO) test -race $(UNWATCHED:%=-gcflags=%=-race=false) -short -timeout 30m $(TESTFLAGS) $$($(GO) list $(PKG) | grep -v '/e2e')

fuzz: ## run every fuzz target for FUZZTIME (5s)
	@FUZZTIME=$(FUZZTIME) .ci/fuzz

bench: ## run the benchmarks (BENCH=regexp, BENCHTIME=1s, PKG=./...)
	CGO_ENABLED=0 $(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -benchtime $(BENCHTIME) -p 1 -timeout 2h $(PKG)

torture: ## run the long campaigns: crashes, power cuts, damage, random histories, half an hour of load (hours)
	STOCKROOM_TORTURE=1 CGO_ENABLED=0 $(GO) test -v -p 1 -count=1 -timeout 6h $(TESTFLAGS) $(PKG)
	@.ci/skipped

screenshots: ## make the README's pictures again, from a demo with a fixed seed (needs Chromium)
	STOCKROOM_SCREENSHOTS=$(CURDIR)/docs/screenshots CGO_ENABLED=0 $(GO) test -v -count=1 -run '^TestScreenshots$$' ./e2e/browsertest

CONVERGE ?= 10000
converge: ## live through CONVERGE (10,000) random histories of lost deliveries, outages and crashes (minutes)
	STOCKROOM_CONVERGE=$(CONVERGE) CGO_ENABLED=0 $(GO) test -v -count=1 -timeout 30m -run '^TestOneComparisonMakesTheCopyEqual$$' ./internal/appliance

TRUTH ?= 1000
truth: ## live through TRUTH (1000) random histories of trouble and hold what is said against what is so (minutes)
	STOCKROOM_TRUTH=$(TRUTH) CGO_ENABLED=0 $(GO) test -v -count=1 -timeout 60m -run '^TestNothingIsSaidThatIsNotSo$$' ./internal/appliance

release: ## make dist/: archives and lists of parts (SBOM) for seven systems, packages for Debian, checksums (SYSTEMS="linux/amd64" narrows it)
	VERSION=$(VERSION) SYSTEMS="$(SYSTEMS)" .ci/release

reproduce: ## build the program twice, with two caches, and compare
	@$(MAKE) -s build BIN=bin/first && GOCACHE=$(CURDIR)/bin/cache $(MAKE) -s build BIN=bin/second && \
		cmp bin/first bin/second && echo "reproduce: the same bytes"; e=$$?; rm -rf bin/cache bin/first bin/second; exit $$e

clean: ## remove what build and release made
	rm -rf bin dist
