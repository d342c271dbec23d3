# Two commands for a fresh Debian or Ubuntu: `make demo` and `make test`. Both do all the set-up (tools/setup.sh).
VENV := .venv/bin
DEMO ?= demo-out
FUZZ_SECONDS ?= 60

.PHONY: demo test lint slow fuzz kernels setup sample docs clean

demo: ## fit nothing, show everything: the bundled model as MP4, contact sheet and metrics
	@tools/setup.sh run
	@$(VENV)/nervplay demo -o $(DEMO)

# Some hundred processes that tests start would compile the packages again and again where the shell forbids bytecode.
test: export PYTHONDONTWRITEBYTECODE =
test: setup ## linters, type checks, import floors, all tests but the slow ones, a minute of fuzzing
	@$(MAKE) --no-print-directory -j3 lint kernels fuzz
	@OMP_NUM_THREADS=1 $(VENV)/python -m pytest -m "not slow and not cuda" -n auto --dist loadfile

fuzz: setup ## a minute of the .nerv reader under atheris (FUZZ_SECONDS=600 for longer); x86-64 Linux, which has its wheel
	@if $(VENV)/python -c 'import atheris' 2>/dev/null; \
	then $(VENV)/python tools/fuzz.py --seconds $(FUZZ_SECONDS); \
	else echo 'fuzz: atheris is not installed for this machine; left out'; fi

slow: setup ## the proofs that take minutes
	@$(VENV)/python -m pytest -m slow

lint: setup
	@$(VENV)/ruff check .
	@$(VENV)/ruff format --check .
	@$(VENV)/mypy
	@$(VENV)/lint-imports

kernels: setup
	@$(VENV)/python tools/build_kernels.py .pytest_cache/kernels

setup:
	@tools/setup.sh dev

sample: setup ## fit the bundled sample again (the exact command; about half an hour)
	@tools/make_sample.sh

docs: setup ## write the generated pages again
	@$(VENV)/python tools/make_command_docs.py
	@$(VENV)/python tools/make_model_docs.py

clean:
	rm -rf .venv $(DEMO) .mypy_cache .ruff_cache .pytest_cache .hypothesis
