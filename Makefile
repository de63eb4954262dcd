# Opsrelay. `make help` lists what can be made.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Tools are Go programs at a fixed version: nothing is installed.
GOTESTSUM := go run gotest.tools/gotestsum@v1.13.0
GOLANGCI  := go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

# -race where there is a C compiler that works, headers included: the race detector
# needs one. It is looked for when it is asked for.
RACE = $(eval RACE := $(shell [[ $$(go env CGO_ENABLED) == 1 ]] && $$(go env CC) -include stdlib.h -fsyntax-only -xc /dev/null 2>/dev/null && echo -race))$(RACE)

# What is built without C shares what the development cluster's build has compiled.
WITHOUT_C := CGO_ENABLED=0 GOFLAGS="$$(go env GOFLAGS) -trimpath"

# PKG and RUN narrow `make test`: make test PKG=./events RUN=TestDecode
PKG ?= ./...
RUN ?=

# COUNT shows the packages that go compiles as a number, and all else as it is.
COUNT := awk '/^[^ :]+$$/ {printf "\r  %d packages compiled", ++n; fflush(); next} {print} END {if (n) print ""}'

.PHONY: help
help: ## List what can be made
	@awk 'BEGIN {FS = ":.*## "} /^[a-zA-Z\/_-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: bin/opsrelay bin/devcluster ## Watch the disks of a database grow (KEEP=1 leaves it running, CLUSTER=current uses your cluster)
	@go run ./deploy/demo $(if $(KEEP),--keep) $(if $(CLUSTER),--cluster=$(CLUSTER))

# $(call gotest,ARGUMENTS OF GO TEST,WHAT ELSE IS NOT RUN) lists what was not run above
# the runner's last line. OPSRELAY_TEST_RUN has go look anew at what was not run
# before (see deploy/notrun).
define gotest
log=$$(mktemp); trap 'rm -f "$$log"' EXIT; \
OPSRELAY_TEST_RUN="$$log" $(GOTESTSUM) --format=pkgname-and-test-fails --hide-summary=skipped --jsonfile="$$log" \
	$$([[ -t 1 ]] && echo --no-color=false) -- $(1) | go run ./deploy/notrun/report "$$log" $(2)
endef

NO_RACE := "the race detector, which needs a C compiler that works: apt-get install gcc libc6-dev"

.PHONY: test
test: bin/devcluster $(if $(filter ./...,$(PKG)),test-devcluster) ## Run every test (PKG=./events and RUN=TestName narrow it)
	@$(if $(RACE),,export $(WITHOUT_C);) \
	$(call gotest,$(RACE) -timeout=40m $(if $(RUN),-run='$(RUN)') $(PKG),$(if $(RACE),,$(NO_RACE)))

.PHONY: test-short
test-short: ## Run what takes less than three minutes: no development cluster, no browser, no containers
	@export $(WITHOUT_C); $(call gotest,-short $(if $(RUN),-run='$(RUN)') $(PKG))

# A module of its own, compiled as build.sh does, or Kubernetes is compiled
# twice. The test cache does not see that the binary is another one.
.PHONY: test-devcluster
test-devcluster: bin/devcluster
	@cd deploy/devcluster && CGO_ENABLED=0 DEVCLUSTER=$(CURDIR)/bin/devcluster $(GOTESTSUM) --format=pkgname-and-test-fails -- \
		-trimpath -count=1 ./csidriver ./e2e

# What is given is handed on: make bench N=1,10 PAIRS=5 SHAPE=two REPLICAS=2 NATS=r3
.PHONY: bench
bench: bin/opsrelay bin/devcluster ## Measure against the floor (N=1,10,100 PAIRS= SHAPE=one|two|node|offline REPLICAS=1 NATS=r1|r3|always|embedded WAIT=30s)
	@go run ./deploy/bench $(if $(N),-n $(N)) $(if $(PAIRS),-pairs $(PAIRS)) $(if $(SHAPE),-shape $(SHAPE)) \
		$(if $(REPLICAS),-replicas $(REPLICAS)) $(if $(NATS),-nats $(NATS)) $(if $(WAIT),-wait $(WAIT)) $(if $(ARGS),-args '$(ARGS)')

.PHONY: bench-hop
bench-hop: ## Measure a hop of the relay against the bare broker (HOPS=2000 NATS=r1|r3|always)
	@go run ./deploy/bench -hop $(or $(HOPS),2000) $(if $(NATS),-nats $(NATS))

.PHONY: chaos
chaos: bin/devcluster ## Kill, freeze and restart everything while 30 databases grow (DURATION=30m, SEED= replays a storm)
	@DURATION='$(or $(DURATION),30m)' SEED='$(SEED)' go test -count=1 -v -timeout=0 -run='^TestStorm$$' ./deploy/e2e/faults

.PHONY: build
build: bin/opsrelay ## Build the opsrelay binary into bin/

# gRPC is there for traces only; without its own tracing pages the linker can leave
# out what nobody calls, a third of the program (see deploy/image/binary.go).
.PHONY: bin/opsrelay
bin/opsrelay:
	@echo "building opsrelay (the first time this takes minutes)" >&2
	@CGO_ENABLED=0 go build -v -trimpath -tags=grpcnotrace -o bin/opsrelay ./services/opsrelay 2>&1 | $(COUNT) >&2

# Kubernetes itself is compiled: minutes the first time, nothing the second. The
# script knows by the content of the sources whether there is anything to do.
.PHONY: bin/devcluster
bin/devcluster: ## Build the development cluster into bin/ (minutes, once)
	@deploy/devcluster/build.sh bin

.PHONY: image
image: ## Build the image as opsrelay:VERSION and opsrelay:dev (needs docker, and no registry)
	@go run ./deploy/image/make

.PHONY: generate
generate: ## Write generated code anew
	go generate ./...

.PHONY: lint
lint: bin/devcluster ## Check formatting, vet, lint, and that go.mod is tidy
	@test -z "$$(gofmt -l .)" || { echo "gofmt would change:"; gofmt -l .; exit 1; }
	@export $(WITHOUT_C); go vet ./...; $(GOLANGCI) run ./...
	@cd deploy/devcluster && CGO_ENABLED=0 go vet -trimpath . ./csidriver ./e2e
	@go mod tidy -diff

.PHONY: clean
clean: ## Remove what was built
	rm -rf bin
