# `make` sets everything up; `make demo` shows it; `make test` proves it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PACKAGES := $(wildcard gan classify metrics augment defects engine)
CODE := $(PACKAGES) tests $(wildcard benchmarks)
DEMO := runs/demo
PROCESSES ?= 2

.PHONY: setup demo test test-slow test-gpu golden lint bench lock clean

setup: $(STAMP)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: $(PYTHON) is older than 3.11; run make PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(STAMP): requirements.lock pyproject.toml | $(BIN)/python
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check \
		"uv==$$(sed -n 's/^uv==\([0-9.]*\).*/\1/p' requirements.lock)"
	$(BIN)/uv pip install --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $(STAMP)

demo: $(STAMP)
	@rm -rf $(DEMO)
	$(BIN)/gen-defects --masks examples/masks --guide thickness=0.7 --out $(DEMO)
	@echo "Look at $(DEMO)/preview.png; the images are in $(DEMO)/images, their labels in $(DEMO)/masks."

# The tests of a file share what they build, so that files are divided, not tests.
test: lint
	$(BIN)/python -m pytest -n $(PROCESSES) --dist loadfile

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m "slow and not gpu" --timeout 3600

test-gpu: $(STAMP)
	$(BIN)/python -m pytest -m gpu --timeout 3600

# The reason goes by the environment: it may hold quotes.
golden: $(STAMP)
	$(BIN)/python -m tests.golden.renew --reason "$${REASON:-}"

lint: $(STAMP)
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy $(addprefix -p ,$(PACKAGES))

bench: $(STAMP)
	@for name in atomic_write generate train_step classifier; do echo "== $$name"; $(BIN)/python benchmarks/timings/$$name.py || exit 1; done

lock: $(STAMP)
	$(BIN)/uv pip compile pyproject.toml --extra dev --extra tensorboard --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --quiet -o requirements.lock

clean:
	rm -rf $(VENV) $(DEMO) .mypy_cache .pytest_cache .ruff_cache .hypothesis
