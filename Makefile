# The two commands people need are "make run" and "make test".
GO      ?= go
BIN     := bin/sallyport
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
TOOLS   := $(CURDIR)/bin/tools
FOR     ?=

.PHONY: run build test test-vault test-brokers lint generate generated bench reliability fuzz clean

run: build ## Build and run the demo: plan, sandbox, gateway and a receiving app.
	$(BIN) demo $(if $(FOR),--for $(FOR))

build:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o $(BIN) ./cmd/sallyport

test: ## All tests with the race detector.
	$(GO) test -race -timeout 20m ./...

# The server is a module of its own: nobody else should have its dependencies.
# A copy of go.mod is used, so that it follows ours without a change here.
test-vault: ## Against a real HashiCorp Vault; the first build takes some minutes.
	@mkdir -p bin
	@cp test/vaultserver/go.mod bin/vaultserver.mod && cp test/vaultserver/go.sum bin/vaultserver.sum
	cd test/vaultserver && $(GO) test -mod=mod -modfile=$(CURDIR)/bin/vaultserver.mod -timeout 20m ./...

# As test-vault, for the dependencies of the NATS server.
test-brokers: ## Against a real NATS server and a fake of Kafka.
	@mkdir -p bin
	@cp test/brokers/go.mod bin/brokers.mod && cp test/brokers/go.sum bin/brokers.sum
	cd test/brokers && $(GO) test -race -mod=mod -modfile=$(CURDIR)/bin/brokers.mod -timeout 10m ./...

lint: ## golangci-lint, gofumpt, and govulncheck where its database can be had.
	scripts/lint $(TOOLS)

generate: ## Make the committed generated files again.
	$(GO) generate ./...

generated: generate ## Fail when a committed generated file is stale.
	@git diff --exit-code -- plan/schema.json docs/ || { echo "generated files are stale: run make generate and commit"; exit 1; }

bench: ## Measure and write docs/benchmarks.md.
	scripts/bench

reliability: ## Kill everything again and again, and count: docs/reliability.md.
	scripts/reliability

fuzz: ## What strangers can send, 20 seconds a target; FUZZTIME=10m for longer.
	scripts/fuzz

clean:
	rm -rf bin dist
