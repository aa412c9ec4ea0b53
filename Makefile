# Two commands for a fresh machine: `make demo` and `make test`. PYTHON is a CPython from 3.10 on with a torch wheel.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check
TORCH = torch==2.13.0

.PHONY: demo test lint install dist audit clean

# VIDEO=FILE and CKPT=FILE run the demo on your own video and checkpoint
demo: $(VENV)/installed
	$(BIN)/python demo/demo.py --out demo/out $(if $(VIDEO),--video "$(VIDEO)") $(if $(CKPT),--checkpoint "$(CKPT)")

test: $(VENV)/installed-tests
	PATH="$(abspath $(BIN)):$$PATH" bash tests/run.sh

lint: $(VENV)/installed-tests
	PATH="$(abspath $(BIN)):$$PATH" bash tests/lint.sh

# both files of a release, checked: docs/releasing.md
dist: $(VENV)/installed-tests
	$(BIN)/python scripts/dist.py

# known vulnerabilities of the pins, less the reviewed ones; asks a service on the network
audit: $(VENV)/installed
	$(PIP) pip-audit
	$(BIN)/python scripts/audit.py

install: $(VENV)/installed

# PyTorch's own index has CPU builds for everyone; where it cannot be reached, the usual index is asked
$(VENV)/installed: pyproject.toml constraints/workstation.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
	  || { echo "make: $(PYTHON) is older than 3.10; name another: make PYTHON=python3.11 ..."; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing PyTorch (CPU) and what else export needs into $(VENV)"
	$(PIP) --retries 0 --timeout 20 --index-url https://download.pytorch.org/whl/cpu $(TORCH) 2>/dev/null \
	  || $(PIP) $(TORCH)
	$(PIP) -c constraints/workstation.txt -e ".[export]"
	touch $@

$(VENV)/installed-tests: $(VENV)/installed
	$(PIP) -c constraints/workstation.txt -e ".[export,serve,test,docs]"
	touch $@

clean:
	rm -rf .venv .venv36 .venv38 build demo/out dist
