# Fairlead: `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv/bin
READY := .venv/.ready
export FAIRLEAD_HOME ?= $(HOME)/.fairlead
# set in many images of Python; each start of a program would compile all that it imports again, up to ten seconds
unexport PYTHONDONTWRITEBYTECODE
PYTHON ?= $(shell command -v python3.11 || command -v python3)
# answers from the [tool.fairlead] tables of the components (cluster/fairlead_cluster/components.py)
LIST := PYTHONPATH=cluster "$(PYTHON)" -m fairlead_cluster
# what `make test` runs in each component's own environment
COMPONENTS := $(shell $(LIST) tested)
ifneq ($(.SHELLSTATUS),0)
$(error the components cannot be listed, see above; Python 3.11 or newer is required (set PYTHON))
endif
COMPONENT_TESTS := $(addprefix test-,$(COMPONENTS))
# what `make test-pure` runs of the components without an environment of their own
PURE := $(shell $(LIST) pure)
# every distribution's folder, as a PYTHONPATH
SOURCES := operator:cluster:edge-runtime:pipelines:$(subst $() ,:,$(wildcard components/*))
# the graph server's protocol buffers, of which `make generate` makes Python
PROTOCOLS := components/graph-server/fairlead_graph/protocols
# where `make generate` writes
GENERATED := manifests charts docs $(PROTOCOLS)
COMPILE := $(VENV)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(READY): requirements-dev.txt operator/requirements.txt $(addsuffix /pyproject.toml,$(shell $(LIST) installed))
	@operator/bootstrap.sh

.PHONY: demo
demo: $(READY) ## Run the worked example on this machine: raw data to predictions, without Docker or root
	@$(VENV)/fairlead demo

.PHONY: setup
setup: $(READY) ## Build and install everything that the tests and the demo need
	@$(VENV)/fairlead setup --tests

# much of the tests' time is waiting, so that more of them run at a time than there are cores
TEST_JOBS ?= 3
.PHONY: test
test: setup ## Unit, golden, simulation, integration and local end-to-end tests
	@# the longest first, so that none of them is left over when the others have ended
	@$(MAKE) --no-print-directory --jobs=$(TEST_JOBS) --output-sync=target --keep-going \
	    $(filter test-trainer,$(COMPONENT_TESTS)) test-local test-integration $(COMPONENT_TESTS) test-pure

.PHONY: test-pure
test-pure: # tests without a cluster, in the operator's environment
	$(VENV)/python -m pytest tests/unit tests/golden tests/simulation $(PURE)

.PHONY: test-integration test-local
test-integration: # the operator against a real API server
	$(VENV)/python -m pytest tests/integration

test-local: # pods on local clusters
	$(VENV)/python -m pytest tests/local

.PHONY: $(COMPONENT_TESTS)
$(COMPONENT_TESTS): test-%: # a component, in its own environment
	PATH="$(FAIRLEAD_HOME)/bin:$$PATH" "$(FAIRLEAD_HOME)/envs/$*/bin/python" -m pytest tests/components/$*

.PHONY: fresh
fresh: $(READY) ## `make demo` and `make test` on a bare Debian 12 in a folder (root; downloads cached; ARGS=--help for its options)
	$(VENV)/python tests/fresh/run.py $(ARGS)

.PHONY: e2e
e2e: setup cluster images ## The worked example in pods of a two-node kind cluster
	$(VENV)/python -m pytest tests/e2e

.PHONY: cluster
cluster: $(READY) ## Start a kind cluster of two nodes (installs and builds what is missing; needs root if Docker is missing)
	@$(VENV)/fairlead kind up

.PHONY: images
images: $(READY) ## Build the images and load them into the kind cluster
	@$(VENV)/fairlead kind images

.PHONY: cluster-down
cluster-down: $(READY) ## Delete the kind cluster and everything that was started for it
	@$(VENV)/fairlead kind down

.PHONY: verify
verify: setup ## Lint, types, layers, generated files
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	PYTHONPATH=$(SOURCES) $(VENV)/lint-imports
	@set -eo pipefail; $(LIST) typed | while IFS=$$'\t' read -r python path packages; do \
	    echo "mypy $$packages"; MYPYPATH=$$path $(VENV)/mypy --python-executable "$$python" $$packages; \
	done
	@$(MAKE) --no-print-directory generate
	@git diff --exit-code --stat -- $(GENERATED) && \
	    test -z "$$(git ls-files --others --exclude-standard -- $(GENERATED))" || { echo "error: generated files differ; commit what make generate wrote" >&2; exit 1; }

.PHONY: generate
generate: $(READY) ## Regenerate CRDs, RBAC, compiled pipelines and protocol buffers, the table of components
	@$(VENV)/fairlead setup pipelines
	@$(VENV)/python -m fairlead.codegen
	@$(LIST) document
	@cd $(PROTOCOLS) && "$(CURDIR)/$(VENV)/python" -m grpc_tools.protoc -I. --python_out=. open_inference.proto seldon_prediction.proto
	@"$(FAIRLEAD_HOME)/bin/fairlead-pipelines" compile --out manifests/pipelines

.PHONY: golden
golden: $(READY) ## Regenerate the golden files; review the diff before you commit it
	$(VENV)/python -m pytest tests/golden --update-golden

.PHONY: format
format: $(READY) ## Format and fix what can be fixed
	$(VENV)/ruff format .
	$(VENV)/ruff check --fix .

.PHONY: lock
lock: $(READY) ## Recompile every requirements.in, with hashes and without index URLs
	$(COMPILE) requirements-dev.in -o requirements-dev.txt
	@set -e; for file in tests/requirements.in bench/requirements.in bench/serving/peers/*.in $$($(LIST) requirements); do \
	    echo "$$file"; $(COMPILE) $$file -o $${file%.in}.txt; \
	done
	$(COMPILE) --no-deps cluster/images/task-requirements.in -o cluster/images/task-requirements.txt

.PHONY: bench
BENCH ?= clients
bench: setup ## Run a benchmark against other implementations: BENCH=clients (the default), controllers, launcher, checkpoints, recovery, training, serving, graph, features, devices or resume, ARGS=--help for its options
	"$(if $(filter launcher checkpoints recovery training,$(BENCH)),$(FAIRLEAD_HOME)/envs/trainer/bin,$(VENV))/python" -m bench.$(BENCH) $(ARGS)

.PHONY: chaos
CHAOS ?= operator
chaos: setup ## Run a fault campaign that takes too long for `make test`: CHAOS=operator (the default), servers, workers, jobs or devices, ARGS=--help for its options
	$(VENV)/python -m tests.chaos.$(CHAOS) $(ARGS)

.PHONY: schedulers
schedulers: $(READY) ## Run jobs with a real Kueue and a real coscheduling plugin, which it builds (half an hour on two cores, once)
	@$(VENV)/fairlead setup kubernetes
	$(VENV)/python -m pytest tests/schedulers $(ARGS)

.PHONY: edge-targets
edge-targets: $(READY) ## Build and compare the targets for phones: LiteRT, ExecuTorch, Core ML (installs 2 GB beside torch)
	@$(VENV)/fairlead setup --tests edge-builders edge-runtime
	MYPYPATH=components/edge-builders:components/contracts $(VENV)/mypy \
	    --python-executable "$(FAIRLEAD_HOME)/envs/edge-builders/bin/python" components/edge-builders/fairlead_edge_builders
	PATH="$(FAIRLEAD_HOME)/bin:$$PATH" "$(FAIRLEAD_HOME)/envs/edge-builders/bin/python" -m pytest tests/components/edge-builders $(ARGS)
	PATH="$(FAIRLEAD_HOME)/bin:$$PATH" "$(FAIRLEAD_HOME)/envs/edge-runtime/bin/python" -m pytest tests/components/edge-runtime/test_elsewhere.py $(ARGS)

.PHONY: clean
clean: ## Delete the local cluster and remove the environments of this checkout
	@[ ! -x $(VENV)/fairlead ] || $(VENV)/fairlead down --purge
	rm -rf .venv report.html
