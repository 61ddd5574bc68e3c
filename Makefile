# The house commands. Each sets up what it needs: a virtual environment in .venv with the pinned versions of constraints.txt.
PYTHON ?= python3
BIN := .venv/bin
STAMPS := .venv/.stamps
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e

.PHONY: run test slow lint vignettes check docs bench clean

run: $(STAMPS)/run            ## the main job: the table of models on the State of the Union speeches
	$(BIN)/statlm compare

test: $(STAMPS)/test          ## the fast tests, with every example in the docstrings
	$(BIN)/python -m pytest -q -n 2

slow: $(STAMPS)/test          ## the simulations: coverage of intervals, size of tests
	$(BIN)/python -m pytest -q -n 2 --slow -m slow

lint: $(STAMPS)/check         ## style, types, import floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

vignettes: $(STAMPS)/docs     ## every cell of every vignette
	$(BIN)/python vignettes/run.py

check: lint test vignettes    ## all of it, as CI runs it

docs: $(STAMPS)/docs          ## the documentation site, in docs/_build/html
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html

bench: $(STAMPS)/test         ## speed and memory beside peers
	$(BIN)/python benchmarks/count_ngrams.py

$(STAMPS)/run: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("statlm needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Try: make run PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(INSTALL) .
	mkdir -p $(STAMPS) && touch $@

$(STAMPS)/test: $(STAMPS)/run
	$(INSTALL) '.[test]'
	touch $@

$(STAMPS)/check: $(STAMPS)/test
	$(INSTALL) '.[test,check]'
	touch $@

$(STAMPS)/docs: $(STAMPS)/run
	$(INSTALL) '.[docs]'
	touch $@

clean:                        ## forget the virtual environment and what was built
	rm -rf .venv docs/_build docs/_notebooks docs/_vignettes
