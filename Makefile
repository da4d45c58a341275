# make check runs what CI runs. Another interpreter than the active one: make check PYTHON=.venv/bin/python
PYTHON ?= python

.PHONY: check install lint format docs lock test test-fast test-ray test-cluster test-real test-browser test-lowest test-wheel coverage

check: lint docs test test-real

install:
	$(PYTHON) -m pip install -c constraints.txt -e '.[dev]'

lint:
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	$(PYTHON) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'

format:
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

# The documentation as a site, in site/: docs/, and what README and the package itself say.
docs:
	NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build --strict --quiet

# The newest versions that pyproject.toml allows, for the oldest Python. A build's label ("+cpu") is not part of a version.
lock:
	$(PYTHON) -m venv --clear .venv-lock
	.venv-lock/bin/pip install --quiet -e '.[dev]'
	(grep '^#' constraints.txt; .venv-lock/bin/pip freeze --exclude-editable | sed 's/+.*//') > .venv-lock/constraints.txt
	mv .venv-lock/constraints.txt constraints.txt
	rm -r .venv-lock

# Unit tests: no Ray, no servers.
test:
	$(PYTHON) -m pytest -n 2

# Those of them about what a search decides and reports, within a minute: they train, decode and serve nothing.
test-fast:
	$(PYTHON) -m pytest -n 2 tests/judgement tests/report $(addprefix tests/search/,earlier engine resources space) \
		$(filter-out tests/test_docs.py tests/test_spaces.py, $(wildcard tests/test_*.py))

# Which lines the unit tests reach. To read, not to pass: a line that is reached is not yet tested.
coverage:
	$(PYTHON) -m pytest -n 2 --cov

# The unit tests, which start no Ray, and a search, with the lowest versions that pyproject.toml allows.
test-lowest:
	$(PYTHON) -m venv --clear .venv-lowest
	.venv-lowest/bin/pip install --quiet -c constraints-lowest.txt -e '.[dev]'
	.venv-lowest/bin/python -m pytest -n 2
	.venv-lowest/bin/python -m pytest -m ray tests/end_to_end/test_search.py

# The wheel as users get it, away from the sources.
test-wheel:
	$(PYTHON) -m venv --clear .venv-wheel
	.venv-wheel/bin/pip wheel --quiet --no-deps --wheel-dir .venv-wheel/dist .
	.venv-wheel/bin/pip install --quiet -c constraints.txt .venv-wheel/dist/*.whl
	cd .venv-wheel && bin/python -c 'from ndvq_tune import *' && bin/ndvq-tune --help

# One tiny search from end to end.
test-ray:
	$(PYTHON) -m pytest -m ray

# A Ray head, and a search submitted to it.
test-cluster:
	$(PYTHON) -m pytest -m cluster

# What MLflow shows of a search, in a headless Chromium; skipped where there is none.
test-browser:
	$(PYTHON) -m pytest -m browser

# Everything beside the unit tests that needs neither a GPU nor a browser. Modules share their searches.
test-real:
	$(PYTHON) -m pytest -n 2 --dist loadscope --no-loadscope-reorder -m '(ray or slow or chaos or cluster) and not gpu and not browser'
