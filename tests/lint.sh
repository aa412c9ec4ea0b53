#!/usr/bin/env bash
# Style, types, the documents' site, Dockerfiles and shell scripts, and the grammar and library of Python 3.6 for what runs on the device.
set -euo pipefail
cd "$(dirname "$0")/.."

device_half=(src/ccc_jetson/*.py runtime engines calib/{__init__,cache,cache_cli,calibrator,cli,for_builds,images,inspect_cache,inspect_qdq,provenance,selection,sources}.py export/__init__.py export/cli.py)

ruff check .
ruff format --check .
mypy
mypy examples/*.py
NO_MKDOCS_2_WARNING=1 mkdocs build --quiet --strict --site-dir build/site
vermin --quiet --no-tips --violations --target=3.6- "${device_half[@]}" examples
hadolint --config docker/hadolint.yaml docker/*/Dockerfile
shellcheck docker/*.sh scripts/*.sh tests/*.sh .ci/run .github/*.sh
