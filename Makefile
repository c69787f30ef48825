# Every target makes its own .venv first: nothing but Python 3.11+ and make is needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SUITE ?= tests
FUZZ_SECONDS ?= 60
DOCKER ?= docker
DOCKER_BUILD_ARGS ?=
export GATEWAY_IMAGE ?= api-gateway:latest
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate

.PHONY: up test fuzz chaos wrong lint fmt golden lock image test-docker clean help
.DEFAULT_GOAL := help

help: ## show the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

up: $(READY) ## run the whole gateway on this machine, with a demo backend and identity provider
	@exec $(BIN)/gateway up examples/quickstart/gateway.yaml --demo

test: $(READY) ## run every test
	$(BIN)/python -m pytest -n 2 --dist loadgroup $(SUITE)

fuzz: $(READY) ## fuzz every parser of tokens, keys, answers and questions for FUZZ_SECONDS each (installs atheris)
	$(BIN)/python -m pip install --quiet 'atheris>=3'
	for target in token plain_object keys metadata issuer_answers api_key cookies limit_question; do \
		$(BIN)/python -m tests.fuzz $$target $(FUZZ_SECONDS) || exit 1; done

chaos: $(READY) ## change a document 500 times at random, under load, while the control plane is killed
	GATEWAY_TEST_CHANGES=500 $(BIN)/python -m pytest -s tests/chaos

wrong: $(READY) ## look at every wrong document that can be generated
	GATEWAY_TEST_WRONG=1000000 $(BIN)/python -m pytest -s -n 2 tests/integration/test_wrong_documents.py

lint: $(READY) ## ruff, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: $(READY) ## format and fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

golden: $(READY) ## rewrite the golden files
	$(BIN)/python -m pytest -n 2 tests/golden --update-golden

lock: $(READY) ## resolve the dependencies again
	$(COMPILE) --all-extras --upgrade --output-file requirements.lock pyproject.toml requirements.build.in
	$(COMPILE) --extra embedded --constraints requirements.lock --output-file requirements.runtime.lock pyproject.toml
	$(COMPILE) --constraints requirements.lock --output-file requirements.build.lock requirements.build.in

image: ## build the container image (needs Docker; docs/guide/docker.md)
	DOCKER_BUILDKIT=1 $(DOCKER) build $(DOCKER_BUILD_ARGS) --tag $(GATEWAY_IMAGE) .

test-docker: $(READY) image ## run the Compose file and the chart's pods on a Docker engine
	$(BIN)/python -m pytest -s tests/deploy/docker_compose.py tests/deploy/docker_chart.py

clean: ## remove what the targets made
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
