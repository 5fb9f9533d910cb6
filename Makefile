# make book | test | lab | student | instructor | pdf | slides | execute | drift | bench | clean. Each makes its own environment in .venv first; see README.md.
# Paths are relative, so a folder with a space in its name works; from elsewhere, `make -C FOLDER book`.

PYTHON ?= python3
RUN := .venv/bin/python
READY := .venv/ready

# One thread a process: two workers do not fight over two cores.
OMP_NUM_THREADS ?= 1
export OMP_NUM_THREADS

# A progress bar is for a person: on a slow machine it would show up in the outputs that are compared.
notebooks: export TQDM_DISABLE := 1
export JUPYTER_PLATFORM_DIRS := 1

.PHONY: help book test lint unit processes notebooks pages lab student instructor pdf slides execute drift bench clean
.DEFAULT_GOAL := help

help:
	@echo "make book      build the pages into _build/html"
	@echo "make test      all checks: lint, unit, processes, notebooks and pages, each of which is a target too"
	@echo "make unit      check the mathematics and the rules of the format, in about two minutes"
	@echo "make lab       open the chapters in JupyterLab"
	@echo "make student   the chapters without their solutions, into _build/student; make instructor, with them"
	@echo "make pdf       build the pages, and print them as one book, _build/book.pdf (needs Chromium)"
	@echo "make slides    one deck of slides a part, from the chapters, into _build/slides"
	@echo "make execute   run the notebooks whose outputs are out of step, and rebuild the table of claims"
	@echo "make drift     run the notebooks as other processors would round, and name the cells that differ"
	@echo "make bench     measure what the computations cost"
	@echo "make clean     remove all that was built, the environment included"

$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version.split()[0]; sys.exit(sys.version_info < (3, 11) and f"Python {v} is too old, the book needs 3.11 or later; name another one: make PYTHON=python3.12")'
	@test -x $(RUN) || $(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }
	@echo "installing the book's requirements into .venv (a minute or two)"
	@$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

book: $(READY)
	$(RUN) scripts/build.py

test: lint unit processes notebooks pages

lint: $(READY)
	$(RUN) -m ruff check

# What a computation or a rule of the format returns. Here and below, -n 2 is two workers, and with loadfile each takes
# a file at a time, so that what a file prepares is prepared once.
unit: $(READY)
	$(RUN) -m pytest -p no:cacheprovider -n 2 --dist loadfile tests/unit

# What starts other processes: sweeps and their deaths, Dask, the scripts as commands, the README's examples.
processes: $(READY)
	$(RUN) -m pytest -p no:cacheprovider -n 2 --dist loadfile tests/processes

# The longest notebooks, which start first, so that no worker is left with one of them at the end.
LONGEST := $(addprefix book/,$(addsuffix .ipynb,simulation grokking norm_minimization your_network typical smooth deeper phases cross_entropy))

# Each notebook alone in a fresh kernel; what it prints must be what is stored, but for measured values (tests/nbval.cfg).
notebooks: $(READY)
	$(RUN) -m pytest -p no:cacheprovider -n 2 --dist loadscope --no-loadscope-reorder --nbval $(LONGEST) $(filter-out $(LONGEST),$(wildcard book/*.ipynb))

# What a reader sees: the book, built once, its pages and what runs in them, in a browser. With loadgroup a worker takes
# the tests of one xdist_group at a time, the largest first: one builds while the other tries what needs no built page.
pages: $(READY)
	$(RUN) -m pytest -p no:cacheprovider -n 2 --dist loadgroup -rs tests/pages

# Jupyter refuses to run as root, as whom containers run, unless it is told to.
lab: $(READY)
	cd book && ../$(RUN) -m jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root)

# The chapters to hand out, for students without the solutions; both from the notebooks in book/.
student instructor: $(READY)
	$(RUN) scripts/handouts.py $@

pdf: book
	$(RUN) scripts/pdf.py

slides: $(READY)
	$(RUN) scripts/slides.py

execute: $(READY)
	$(RUN) scripts/execute.py

drift: $(READY)
	$(RUN) scripts/drift.py

bench: $(READY)
	for script in benchmarks/*.py; do $(RUN) "$$script" || exit 1; done

clean:
	rm -rf _build .venv .ruff_cache .pytest_cache *.egg-info
