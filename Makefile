# Every target that CI runs is a target that a person runs.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
GO ?= go
PATTERN ?=
BIN := bin
export CGO_ENABLED := 0

.PHONY: help
help: ## Show this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  Variables: PATTERN=\"$(or $(PATTERN),<all>)\", ARGS=<further flags of meshproof run>, KUBECONFIG=<your cluster; without it, the lab>"

.PHONY: build
build: ## Build bin/meshproof
	@$(GO) build -trimpath -o $(BIN)/meshproof ./cmd/meshproof

.PHONY: job
job: setup build ## Run PATTERN in a pod of the lab, or of the cluster of KUBECONFIG, and collect its results (ARGS="-- --claim BG1")
	@$(BIN)/meshproof job $(PATTERN) $(ARGS)

.PHONY: setup
setup: ## Check for, and on Debian as root install, what the lab is built with
	@hack/setup

.PHONY: conformance
conformance: setup build ## Prove PATTERN (all without it) on the lab, or on the cluster of KUBECONFIG
	@$(BIN)/meshproof run $(PATTERN) $(ARGS)

.PHONY: lab-up lab-down
lab-up: setup build ## Build and start the lab
	@$(BIN)/meshproof lab up
lab-down: build ## End the lab
	@$(BIN)/meshproof lab down

.PHONY: generate
generate: ## Write the generated files
	@$(GO) run ./hack/generate

.PHONY: check
check: $(BIN)/golangci-lint ## Check generated files, formatting, modules and lint
	@$(GO) run ./hack/generate -check
	@$(GO) mod tidy -diff
	@$(GO) vet ./... && GOOS=darwin $(GO) vet ./...
	@$(BIN)/golangci-lint run ./...

$(BIN)/golangci-lint: hack/tools/go.mod
	@echo "building golangci-lint"
	@cd hack/tools && $(GO) build -o ../../$(BIN)/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint

.PHONY: test-unit
test-unit: ## Run the tests that need no root and no cluster
	@$(GO) run ./hack/testsum -- ./...

.PHONY: test
test: setup check build ## Run every test, the lab's and the patterns' included (root)
	@hack/with-lab $(GO) run ./hack/testsum -timeout 60m -tags lab,conformance -p 1 -- ./...

.PHONY: prove
prove: setup build ## Run every mutant of every pattern, or of PATTERN, on the lab (an hour and a half)
	@for pattern in $(or $(PATTERN),$(notdir $(patsubst %/pattern.go,%,$(wildcard suites/*/pattern.go)))); do $(BIN)/meshproof prove $$pattern || exit 1; done

.PHONY: soak faults
soak: setup build ## Run a pattern many times, some on busy cores, then twice at once; fail when a verdict changes
	@$(GO) run ./hack/soak $(ARGS)
faults: setup build ## Interrupt and kill runs, stop the API server, delete pods; fail when a verdict or the clean-up is wrong
	@$(GO) run ./hack/faults $(ARGS)

.PHONY: bench
bench: setup build ## Measure the lab: start, first build, memory; and a run, by stage
	@$(GO) run ./hack/bench $(ARGS)
