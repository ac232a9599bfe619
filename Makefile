# SPDX-License-Identifier: Apache-2.0
# `make demo` runs the main job, `make test` passes the tests; both install what they need. `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
VENV := .venv
PY := $(VENV)/bin/python

.PHONY: help venv setup bpf dist demo test test-kernels lint unit sanity soak bench node clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */\1\t/' | expand -t 12

venv: ## Make .venv with the library, the command varmor and the development tools
	@bash scripts/venv.sh

bpf: ## Compile the BPF programs
	@bash scripts/bpf.sh

dist: venv bpf ## Build the wheel, the Debian package and the offline repository for nodes
	@$(PY) -m scripts.dist

demo: venv bpf setup ## Run the main job: a node, site.yml, five attacks with and without the policy
	@$(PY) -m scripts.demo

test: venv ## Run every test tier that this machine supports
	@$(PY) -m scripts.test

test-kernels: venv ## The BPF enforcer on more kernels (Debian 13, backports)
	@$(PY) -m scripts.test kernels

lint: venv ## Linters, types and layers only
	@$(PY) -m scripts.test lint

unit: venv ## Unit tests only
	@$(PY) -m scripts.test unit

sanity: venv ## ansible-test sanity only
	@$(PY) -m scripts.test sanity

soak: venv bpf setup ## Ten minutes of containers that come, attack and go, in a light guest
	@$(PY) -m tests.nodes guest --timeout 1200 -- $(PY) -m tests.soak.churn

bench: venv bpf setup ## Measure: compiling policies, and what system calls cost on stock kernels (docs/benchmarks)
	@$(PY) -m bench.compile_policies
	@$(PY) -m bench.calls
	@$(PY) -m bench.scale

setup: venv
	@$(PY) -m tests.nodes setup

node: venv setup ## A shell on a throw-away test node
	@$(PY) -m tests.nodes shell

clean: ## Remove what the build made (not the cache of node images)
	@rm -rf .venv build dist .cache .mypy_cache .ruff_cache .pytest_cache
