# Everything a newcomer runs. Each target sets up .venv first, which costs nothing once it is made.
PYTHON ?= $(firstword $(shell command -v python3.11 || command -v python3))
BIN := .venv/bin
PROTOS := $(shell find wire -name '*.proto')
PYTEST_ARGS ?=
PARALLEL := -n logical --maxprocesses 8 --dist worksteal

.PHONY: setup demo test check proto bench docs

setup:
	@test -n "$(PYTHON)" || { echo "Spillway needs Python 3.11: install it, or name it with make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -m bootstrap

demo: setup
	@$(BIN)/python -m benchmarks.demo

# The live tests share their fleets, so they run one after another.
test: setup
	$(BIN)/python -m pytest -m "not live" $(PARALLEL) $(PYTEST_ARGS)
	$(BIN)/python -m pytest -m live $(PYTEST_ARGS)

# Format, lint, types, import rules, and whether the generated wire code is fresh.
check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/test_tree.py

proto: setup
	$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. --grpc_python_out=. $(PROTOS)

bench: setup
	$(BIN)/spillway bench

# The documentation as a site. `mkdocs serve` shows it while it is written.
docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build
	@echo ".site/index.html; $(BIN)/python -m http.server -d .site has its search, too"
