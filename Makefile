# Two commands for a fresh Debian or Ubuntu: `make demo` and `make test`. Both do all the set-up (tools/setup.sh).
VENV := .venv/bin
DEMO ?= demo-out

.PHONY: demo test lint slow setup sample docs clean

demo: ## fit nothing, show everything: the bundled model as MP4, contact sheet and metrics
	@tools/setup.sh run
	@$(VENV)/nervplay demo -o $(DEMO)

test: lint ## linters, type checks, import floors and all tests but the slow ones
	@OMP_NUM_THREADS=1 $(VENV)/python -m pytest -m "not slow and not cuda" -n auto --dist loadfile

slow: setup ## the proofs that take minutes
	@$(VENV)/python -m pytest -m slow

lint: setup
	@$(VENV)/ruff check .
	@$(VENV)/ruff format --check .
	@$(VENV)/mypy
	@$(VENV)/lint-imports

setup:
	@tools/setup.sh dev

sample: setup ## fit the bundled sample again (the exact command; about an hour on two cores)
	@tools/make_sample.sh

docs: setup ## write the generated pages again
	@$(VENV)/python tools/make_command_docs.py
	@$(VENV)/python tools/make_model_docs.py

clean:
	rm -rf .venv $(DEMO) .mypy_cache .ruff_cache .pytest_cache .hypothesis
