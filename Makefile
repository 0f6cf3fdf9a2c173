# Two commands do everything on a fresh machine: make demo, make test.
# Both set up .venv once and work offline from then on.

SHELL := /bin/bash
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	if $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	then echo $$p; break; fi; done)
RUN := .venv/bin/python
STAMP := .venv/.installed
EXTRAS := .venv/.installed_extras
# Processes that share the fast tests; each holds TensorFlow (about 2 GB).
WORKERS ?= 2

.PHONY: help demo test test-slow bench lint format docs clean

help:
	@echo "make demo       set up, make videos, train both networks, compare them"
	@echo "make test       set up, run the fast tests"
	@echo "make test-slow  set up with the extras, run all tests"
	@echo "make bench      measure speed ratios, name what fell by more than a tenth"
	@echo "make lint       check style and types"
	@echo "make format     fix style"
	@echo "make docs       build the documentation into site/"
	@echo "make clean      remove .venv and caches (results stay)"

demo: $(STAMP)
	$(RUN) -m osmn_recurrent.cli.main demo --out=runs/demo

test: $(STAMP)
	$(RUN) -m pytest -m "not slow" -n $(WORKERS) --dist=loadfile

test-slow: $(EXTRAS)
	$(RUN) -m pytest

bench: $(STAMP)
	$(RUN) -m experiments.bench

lint: $(STAMP)
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

format: $(STAMP)
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

docs: $(STAMP)
	$(RUN) -m experiments.write_texts --check
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict

clean:
	rm -rf .venv .pytest_cache .ruff_cache build site *.egg-info

$(STAMP): pyproject.toml
	@if [ -z "$(PYTHON)" ]; then \
		echo "No Python 3.11 or later was found; install one, or name it:" \
		"make PYTHON=/path/to/python3.12 demo"; exit 1; fi
	@if [ ! -x $(RUN) ]; then \
		$(PYTHON) -m venv .venv || { rm -rf .venv; \
		echo "$(PYTHON) cannot make a virtual environment; install its venv" \
		"module (Debian and Ubuntu: apt install python3-venv)."; exit 1; }; fi
	@echo "Installing into .venv (about two minutes, once) ..."
	@$(RUN) -m pip install --quiet --disable-pip-version-check -e ".[dev]" || { \
		echo "The packages could not be installed. The first set-up needs the" \
		"package index (network, or pip's settings for a mirror) and about 4 GB" \
		"of disk; run the same command again when they are there."; exit 1; }
	@$(RUN) -c "import cv2" || { \
		echo "OpenCV cannot be loaded: it needs the system libraries named" \
		"above (Debian and Ubuntu: apt install libgl1 libglib2.0-0)."; exit 1; }
	@touch $@

$(EXTRAS): $(STAMP)
	@echo "Installing the extras that tests need into .venv (a few minutes, once) ..."
	@$(RUN) -m pip install --quiet --disable-pip-version-check -e ".[test]" || { \
		echo "The extras could not be installed. pydensecrf2 compiles C++ (Debian" \
		"and Ubuntu: apt install g++ python3-dev); the fast tests need none of" \
		"them: make test."; exit 1; }
	@touch $@
