#!/usr/bin/env bash
# All tests: lint, the whole suite with coverage on this Python, the device half on Python 3.6 and 3.8 from the built wheel.
# Needs the packages of the `test` extra in the Python on PATH (`make test` sees to that).
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD

step() { printf '\n== %s\n' "$*"; }

# A CPython of the given version: on PATH, below pyenv, or where PYTHON36 / PYTHON38 points
find_python() {
  local version=$1 given="PYTHON${1/./}" candidate
  for candidate in "${!given:-}" "python$version" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$version".*/bin/python; do
    if [ -n "$candidate" ] && [ "$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = "$version" ]; then
      command -v "$candidate"
      return
    fi
  done
  return 1
}

device_tests() {
  local version=$1 python venv=$root/.venv${1/./}
  if ! python=$(find_python "$version"); then
    if [ -n "${CI:-}" ]; then
      echo "Python $version is not installed; in CI that is a failure"
      return 1
    fi
    echo "SKIPPED: Python $version is not installed; the device half was not tested on it (set PYTHON${version/./}=...)"
    return 0
  fi
  if [ ! -e "$venv/installed" ] || [ "constraints/python${version/./}.txt" -nt "$venv/installed" ]; then
    "$python" -m venv --clear "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check pip==21.3.1
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary=:all: \
      -c "constraints/python${version/./}.txt" setuptools wheel numpy onnx onnxruntime opencv-python-headless pytest pytest-cov shtab tornado
    touch "$venv/installed"
  fi
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps "$wheel"
  "$venv/bin/python" -m compileall -q src/ccc_jetson/*.py runtime engines calib/{__init__,cache,cache_cli,calibrator,cli,for_builds,images,inspect_cache,inspect_qdq,provenance,selection,sources}.py export/__init__.py export/cli.py
  # from the wheel, not from src: the tests are copied away from the checkout
  # CUDA sources through g++ are the same for every Python, and what takes longest (whole builds, disturbed commands,
  # boards' reports, the authors' network) is run by the oldest one
  local others=() folder
  if [ "$version" = 3.6 ]; then
    others=(--cov=ccc_jetson.engines --cov-report=term:skip-covered --cov-fail-under=95)
  else
    for folder in calib/test_for_builds.py faults fuzz jetson \
      runtime/{board_report,kernels,serve/test_attacks.py,test_engine_commands.py,test_real_camvid.py,test_real_engine.py} \
      runtime/{test_soak.py,test_tensorrt_backend.py,test_tensorrt_scores.py}; do
      others+=("--ignore=tests/$folder")
    done
  fi
  away=$(mktemp -d)  # not local: the trap, which is this subshell's, comes after the function
  trap 'rm -rf "$away"' EXIT
  cp -r tests docs examples scripts "$away"
  (cd "$away" && CCC_TEST_ONNX="$official" CCC_TEST_DATA="${CCC_TEST_DATA:-$root/../shared}" CCC_TEST_BUILD="$root/build" \
    "$venv/bin/python" -m pytest -ra -p no:cacheprovider "${others[@]}" tests)
}

# Both old Pythons beside each other and beside the whole suite: many tests wait, so the processes are more than the cores
old_pythons() {
  local version failed="" started=()
  for version in "${versions[@]}"; do
    (device_tests "$version") >"build/python$version.log" 2>&1 &
    started+=("$!")
  done
  for version in "${versions[@]}"; do
    wait "${started[0]}" || failed+=" $version"
    started=("${started[@]:1}")
  done
  [ -z "$failed" ] || { echo "FAILED on Python$failed"; return 1; }
}

step "lint, types, Python 3.6 grammar"
bash tests/lint.sh

step "wheel"
mkdir -p build
# what was fetched, and pycuda compiled from it, need not be made again
find build -mindepth 1 -maxdepth 1 ! -name real-bindings ! -name nvrtc ! -name pycuda -exec rm -rf {} +
python -m build --wheel --outdir build/wheel . >build/wheel.log 2>&1 || { cat build/wheel.log; exit 1; }
wheel=$(ls "$root"/build/wheel/*.whl)
basename "$wheel"

# The authors' network, exported once, so that the old Pythons run it too
official=""
for checkpoint in "${CCC_TEST_DATA:-}/checkpoints/C3Net_setting2.pth" ../shared/checkpoints/C3Net_setting2.pth; do
  if [ -z "$official" ] && [ -e "$checkpoint" ]; then
    official=$root/build/official.onnx
    ccc-export "$checkpoint" "$official" >build/export.log 2>&1 || { cat build/export.log; exit 1; }
  fi
done

versions=(3.6 3.8)
set -m  # a process group of its own, which can be ended as a whole
old_pythons &
old=$!
set +m
trap 'kill -- "-$old" 2>/dev/null || true' EXIT

step "whole suite on $(python --version), and meanwhile the device half on Python ${versions[*]}"
# by the package's name, not by its path: the links are not followed there. The folders are named as well, so that a
# module that no test imports counts too. Two workers, a file of tests to each: many tests wait, for a child or a camera.
passed=0
CCC_TEST_ONNX="$official" python -m pytest -ra -n "${CCC_TEST_WORKERS:-2}" --dist loadfile \
  --cov=ccc_jetson --cov=export --cov=calib --cov=engines --cov=runtime --cov-report=term tests || passed=$?

wait "$old" || passed=$?
for version in "${versions[@]}"; do
  step "device half on Python $version, from the wheel"
  cat "build/python$version.log"
done
exit "$passed"
