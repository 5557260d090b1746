# Everything a person does with the project. Environments: .venv has everything, .venv-serve what a server needs.
.PHONY: help env demo serve test check fast-tests static format bench bundle documents clean
.DEFAULT_GOAL := help

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
SERVE := .venv-serve
BIN := $(VENV)/bin
export WHICHONE_DATA ?= $(CURDIR)/whichone-data
export OPENBLAS_NUM_THREADS ?= 1
# Several test processes at once: threads of each would only wait for one another.
test fast-tests: export OMP_NUM_THREADS ?= 1
PIP_FLAGS := --quiet --disable-pip-version-check --constraint constraints.txt

help: ## Show what there is
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(VENV)/.complete: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	@echo "Installing everything for tests, training and benchmarks into $(VENV): a few minutes, about 6 GB."
	$(BIN)/pip install $(PIP_FLAGS) --editable '.[cpu,postgres,heif,demo,evaluate,train,milvus-lite,dev]'
	@touch $@

$(SERVE)/.complete: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(SERVE)
	@echo "Installing the server into $(SERVE): no torch, under a minute."
	$(SERVE)/bin/pip install $(PIP_FLAGS) --editable '.[cpu,postgres,demo]'
	@touch $@

env: $(VENV)/.complete ## Make .venv with everything for tests and benchmarks

demo: $(SERVE)/.complete ## Set up, enrol real photos, ask about others, leave the server running
	@exec $(SERVE)/bin/whichone demo

serve: $(SERVE)/.complete ## Start the server alone (WHICHONE_DATA, WHICHONE_HOST, WHICHONE_PORT)
	@exec $(SERVE)/bin/whichone serve

test: env static ## Set up; static checks and all tests
	$(BIN)/pytest --numprocesses auto --dist loadfile

check: env static fast-tests ## Before every commit: format, lint, types, import contract, fast tests

static: env
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fast-tests: env
	$(BIN)/pytest -m "not slow" --numprocesses auto --dist loadfile

format: env ## Format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: env ## Measure: recognition on ../shared/data where it is there, and the cost of the pipeline
	$(BIN)/python -m benchmarks.quality
	$(BIN)/python -m benchmarks.cost

bundle: env ## Make the shipped bundle again from its weights package
	$(BIN)/python -m training.export.default_bundle

documents: env ## Write docs/openapi.json and docs/settings.md anew
	$(BIN)/python -m service.documents

clean: ## Remove environments and caches, never data
	rm -rf $(VENV) $(SERVE) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
