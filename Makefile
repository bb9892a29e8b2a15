# Everything a newcomer runs. Each target sets up .venv first, which costs nothing once it is made.
PYTHON ?= $(firstword $(shell command -v python3.11 || command -v python3))
BIN := .venv/bin
PROTOS := $(shell find wire -name '*.proto')
PYTEST_ARGS ?=
PARALLEL := -n auto --maxprocesses 8 --dist worksteal

.PHONY: setup clients demo unit test check proto bench docs locks

setup:
	@test -n "$(PYTHON)" || { echo "Spillway needs Python 3.11: install it, or name it with make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -m bootstrap

# Programs of others that tests start, in an environment of their own; without them those tests are
# left out.
clients: setup
	@$(BIN)/python -m bootstrap.clients

demo: setup
	@$(BIN)/python -m benchmarks.demo

# The tests that stay inside their process, while you write: within a minute.
unit: setup
	$(BIN)/python -m pytest -q -m unit $(PARALLEL) $(PYTEST_ARGS)

# Every test. The live ones share their fleets, so they run one after another; they wait a lot, and
# in what they leave of the processors compilers do their work, at the lowest priority.
test: setup
	$(BIN)/python -m pytest -m "not live and not compiles" $(PARALLEL) $(PYTEST_ARGS)
	@said=$$(mktemp); \
	nice -n 19 $(BIN)/python -m pytest -m compiles -p no:cacheprovider $(PARALLEL) $(PYTEST_ARGS) \
		>$$said 2>&1 & compiling=$$!; \
	$(BIN)/python -m pytest -m live $(PYTEST_ARGS); live=$$?; \
	wait $$compiling; compiled=$$?; cat $$said; rm $$said; \
	exit $$((live | compiled))

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

# What the images of deploy/images install, each with its hash. PyTorch's CPU build is no part of the
# common index: PIP_FIND_LINKS names a folder that has it.
COMPILE := uv pip compile --quiet --upgrade --generate-hashes --no-header --no-annotate --no-emit-index-url \
	--python-version 3.11 --python-platform x86_64-manylinux_2_28
LOCKS := deploy/images/locks

EXTRAS := $(foreach extra,kernels bench dev fuzz tracing certs postgres,--extra $(extra))

# What `make setup` installs, and what each extra would bring beside it.
locks: setup
	$(BIN)/$(COMPILE) pyproject.toml --extra cpu $(EXTRAS) --overrides bootstrap/cpu-overrides.txt --no-emit-package torch \
		$(if $(PIP_FIND_LINKS),--find-links $(PIP_FIND_LINKS)) -o bootstrap/locks/cpu.txt
	$(BIN)/$(COMPILE) pyproject.toml --extra serving $(EXTRAS) -o bootstrap/locks/cuda.txt
	$(BIN)/$(COMPILE) deploy/images/build.in -o $(LOCKS)/build.txt
	$(BIN)/$(COMPILE) pyproject.toml -o $(LOCKS)/router.txt
	$(BIN)/$(COMPILE) pyproject.toml --extra serving -o $(LOCKS)/site-gpu.txt
	$(BIN)/$(COMPILE) pyproject.toml --extra cpu --overrides bootstrap/cpu-overrides.txt \
		$(if $(PIP_FIND_LINKS),--find-links $(PIP_FIND_LINKS)) -o $(LOCKS)/site-cpu.txt
