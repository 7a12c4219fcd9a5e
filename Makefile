# Every target sets up what it needs: .venv, the build, the install.
PYTHON ?= python3
PY := .venv/bin/python
SOURCES := $(wildcard minidl/_ext/*.pyx minidl/_ext/*.pxd minidl/_ext/*.h)

# a list of requirements in pyproject.toml, which is the only place that holds them
wants = $$($(PY) -c 'import tomllib; \
	print(*tomllib.load(open("pyproject.toml", "rb"))$(1))')
extra = $(call wants,["project"]["optional-dependencies"]["$(1)"])
pip = $(PY) -m pip install --quiet --disable-pip-version-check

.PHONY: all build demo test check bench dist clean

all: build

build: .venv/built

.venv/base: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "minidl needs Python 3.11 or newer: make PYTHON=python3.x"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, pathlib, sysconfig as s; \
	  (pathlib.Path(s.get_path("include")) / "Python.h").stat()' 2>/dev/null \
	  || { echo "first: apt-get install python3-venv python3-dev gcc"; exit 1; }
	test -x $(PY) || $(PYTHON) -m venv .venv
	$(pip) --upgrade $(call wants,["build-system"]["requires"])
	@touch $@

# compiles only what changed: setup.py keeps the objects in build/
.venv/built: .venv/base setup.py $(SOURCES)
	$(pip) --no-build-isolation --editable .
	@touch $@

.venv/test .venv/lint: .venv/%: .venv/base
	$(pip) $(call extra,$*)
	@touch $@

demo: .venv/built
	.venv/bin/minidl train lenet5 --out lenet5.npz
	.venv/bin/minidl draw lenet5 -o lenet5.svg

test: .venv/built .venv/test
	$(PY) -m pytest --cov --cov-report=term:skip-covered $(PYTEST)

# mypy sees minidl.models only where it is installed, so it reads an unpacked wheel
check: .venv/built .venv/lint
	$(PY) -m ruff check .
	PATH=.venv/bin:$$PATH cython-lint minidl/_ext
	rm -rf build/typed build/lib*/minidl/*.py build/lib*/minidl/*/*.py
	$(PY) -m pip wheel --quiet --no-build-isolation --no-deps --wheel-dir build/typed .
	$(PY) -m zipfile -e build/typed/*.whl build/typed
	cd build/typed && ../../$(PY) -m mypy -p minidl --config-file ../../pyproject.toml

# PEERS_PYTHON=/elsewhere/bin/python has the peers; BENCH="--quick --only lenet5"
bench: .venv/built
	$(PY) benchmarks/bench.py $(BENCH)

dist: .venv/built
	$(pip) build
	rm -rf dist
	$(PY) -m build
	rm -rf build/fresh
	$(PYTHON) -m venv build/fresh
	build/fresh/bin/python -m pip install --quiet dist/*.whl
	cd build/fresh && bin/minidl models

clean:
	rm -rf .venv build dist *.egg-info .coverage .*_cache minidl/_ext/*.so
