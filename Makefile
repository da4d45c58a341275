# make check runs what CI runs. Another interpreter than the active one: make check PYTHON=.venv/bin/python
PYTHON ?= python

.PHONY: check lint format lock docs test test-ray test-cluster test-real

check: lint docs test test-real

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

# One tiny search from end to end.
test-ray:
	$(PYTHON) -m pytest -m ray

# A Ray head, and a search submitted to it.
test-cluster:
	$(PYTHON) -m pytest -m cluster

# Everything beside the unit tests that needs neither a GPU nor a browser. Modules share their searches.
test-real:
	$(PYTHON) -m pytest -n 2 --dist loadscope --no-loadscope-reorder -m '(ray or slow or chaos or cluster) and not gpu and not browser'
