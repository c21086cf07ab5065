# Fairlead: `make help` lists what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv/bin
READY := .venv/.ready
export FAIRLEAD_HOME ?= $(HOME)/.fairlead
# what `make test` runs in each component's own environment
COMPONENTS := trainer graph-server data-validation onnx-converter edge-runtime pipelines
LOCKED := operator components/artifacts $(addprefix components/,trainer graph-server data-validation onnx-converter) \
          edge-runtime pipelines examples/digits tests tests/seldon
COMPILE := $(VENV)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(READY): requirements-dev.txt operator/requirements.txt pyproject.toml \
          components/artifacts/pyproject.toml cluster/pyproject.toml
	@operator/bootstrap.sh

.PHONY: demo
demo: $(READY) ## Run the worked example on this machine: raw data to predictions, without Docker or root
	@$(VENV)/fairlead demo

.PHONY: setup
setup: $(READY) ## Build and install all that tests and demo need
	@$(VENV)/fairlead setup --tests

.PHONY: test
test: setup ## Unit, golden, simulation, integration and local end-to-end tests
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target --keep-going \
	    test-integration test-local $(addprefix test-,$(COMPONENTS)) test-pure

.PHONY: test-pure
test-pure: # what needs no cluster, in the operator's environment
	$(VENV)/python -m pytest tests/unit tests/golden tests/simulation tests/components/artifacts

.PHONY: test-integration test-local
test-integration: # the operator against a real API server
	$(VENV)/python -m pytest tests/integration

test-local: # pods on local clusters
	$(VENV)/python -m pytest tests/local

.PHONY: $(addprefix test-,$(COMPONENTS))
$(addprefix test-,$(COMPONENTS)): test-%: # a component, in its own environment
	PATH=$(FAIRLEAD_HOME)/bin:$$PATH $(FAIRLEAD_HOME)/envs/$*/bin/python -m pytest tests/components/$*

.PHONY: fresh
fresh: $(READY) ## `make demo` and `make test` on a bare Debian 12 in a folder (root; downloads cached; ARGS=--cold for none)
	$(VENV)/python tests/fresh/run.py $(ARGS)

.PHONY: e2e
e2e: setup cluster images ## The worked example in pods of a two-node kind cluster
	$(VENV)/python -m pytest tests/e2e

.PHONY: cluster
cluster: $(READY) ## Start a kind cluster of two nodes (installs and builds what is missing; root where Docker is missing)
	@$(VENV)/fairlead kind up

.PHONY: images
images: $(READY) ## Build the images and load them into the kind cluster
	@$(VENV)/fairlead kind images

.PHONY: cluster-down
cluster-down: $(READY) ## Remove the kind cluster and all that was started for it
	@$(VENV)/fairlead kind down

.PHONY: verify
verify: setup ## Lint, types, layers, generated files
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/lint-imports
	$(VENV)/mypy
	@set -e; for component in $(COMPONENTS); do \
	    folder=components/$$component; [ -d $$folder ] || folder=$$component; \
	    echo "mypy $$folder"; MYPYPATH=$$folder $(VENV)/mypy \
	        --python-executable $(FAIRLEAD_HOME)/envs/$$component/bin/python $$(find $$folder -maxdepth 1 -name 'fairlead_*' ! -name '*.egg-info'); \
	done
	@$(MAKE) --no-print-directory generate
	@git diff --exit-code --stat -- manifests charts || { echo "error: generated files differ; commit what make generate wrote" >&2; exit 1; }

.PHONY: generate
generate: $(READY) ## Write CRDs, RBAC and compiled pipelines anew
	@$(VENV)/python -m fairlead.codegen
	@$(FAIRLEAD_HOME)/bin/fairlead-pipelines compile --out manifests/pipelines

.PHONY: golden
golden: $(READY) ## Write the golden plans anew; read the diff before you commit it
	$(VENV)/python -m pytest tests/golden --update-golden

.PHONY: format
format: $(READY) ## Format and fix what can be fixed
	$(VENV)/ruff format .
	$(VENV)/ruff check --fix .

.PHONY: lock
lock: $(READY) ## Compile every requirements.in anew, with hashes and without index URLs
	$(COMPILE) requirements-dev.in -o requirements-dev.txt
	@set -e; for folder in $(LOCKED); do echo "$$folder"; $(COMPILE) $$folder/requirements.in -o $$folder/requirements.txt; done
	$(COMPILE) components/trainer/requirements-build.in -o components/trainer/requirements-build.txt
	$(COMPILE) --no-deps pipelines/requirements-task.in -o pipelines/requirements-task.txt

.PHONY: bench
BENCH ?= clients
bench: setup ## A benchmark against named peers: BENCH=clients (the default) or controllers, ARGS=--help for its options
	$(VENV)/python -m bench.$(BENCH) $(ARGS)

.PHONY: clean
clean: ## Stop the local cluster and remove the environments of this checkout
	@[ ! -x $(VENV)/fairlead ] || $(VENV)/fairlead down
	rm -rf .venv report.html
