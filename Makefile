# What people type. CI types the same: see .ci/run.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

TOOLS := $(or $(DETOUR_TOOLS),$(HOME)/.cache/detour-tools)
LINT  := $(TOOLS)/golangci-lint
FUMPT := $(TOOLS)/gofumpt
export PATH := $(TOOLS):$(PATH)

.PHONY: build test check lint race fuzz bench bench-short mutate soak tools clean

# The command's profile (default.pgo) makes the compiler build every package anew;
# tests do not need that.
test race fuzz: export GOFLAGS := -pgo=off

build: ## a static binary in bin/
	CGO_ENABLED=0 go build -trimpath -o bin/resolver ./cmd/resolver

test: ## all tests; says at the end what this machine made it skip
	./test/run

check: lint race fuzz bench-short ## format, linters, race detector, fuzz seeds, what must not allocate

lint: $(LINT) $(FUMPT)
	@out=$$($(FUMPT) -l $$(git ls-files '*.go')); test -z "$$out" || { echo "not formatted, run gofumpt -w on:"; echo "$$out"; exit 1; }
	$(LINT) run ./...
	go vet ./...

race: ## the packages that share memory, with the race detector
	go test -race -short ./config/... ./internal/... ./plugin/... ./cmd/... ./test/scenarios/...

fuzz: ## every fuzz target for a few seconds, beyond its seeds
	./test/fuzz 5s

bench: ## the figures of docs/performance.md, as one table
	./test/bench/run

bench-short: ## the figures of what runs in process; fails at twice a target, and at any allocation too many
	./test/bench/run --short

mutate: ## negates every condition of the pure packages, in about four minutes on two cores; fails where a new one is missed by no test, or below 95 %
	go run ./test/tools/mutate

soak: mutate ## what takes longer than a test may
	DETOUR_SOAK=1 go test -count=1 -timeout 3h -v -run 'Soak' ./internal/share/consul ./test/lab
	./test/fuzz 10m

tools: $(LINT) $(FUMPT)

$(LINT) $(FUMPT): test/tools/lint/go.sum
	@mkdir -p $(TOOLS)
	@echo "building the linters (once, about two minutes)"
	cd test/tools/lint && CGO_ENABLED=0 go build -trimpath -o $(TOOLS)/ github.com/golangci/golangci-lint/v2/cmd/golangci-lint mvdan.cc/gofumpt
	@touch $(LINT) $(FUMPT)

clean:
	rm -rf bin
