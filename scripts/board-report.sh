#!/usr/bin/env bash
# One command on a Jetson, one file to attach to an issue: see docs/board-report.md.
# Finds a Python that has ccc_jetson, and asks once for the password that power modes need; the rest is Python's.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-python3}

fail() {
  printf 'board-report.sh: error: %s\n  -> %s\n' "$1" "$2" >&2
  exit 2
}

command -v "$python" >/dev/null || fail "there is no $python" "sudo apt-get install python3, or name one: PYTHON=/usr/bin/python3 $0"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 6))' \
  || fail "$python is older than 3.6" "name another: PYTHON=/usr/bin/python3 $0"

# nvcc is not on the PATH of a board that was just flashed, and numpy dies on a TX2 without the second
export PATH=/usr/local/cuda/bin:$PATH
if [ "$(uname -m)" = aarch64 ]; then
  export OPENBLAS_CORETYPE=${OPENBLAS_CORETYPE:-ARMV8}
fi

# the package that is installed, else the one of this checkout, which needs numpy alone
if ! (cd / && "$python" -c 'import ccc_jetson.runtime.board_report') 2>/dev/null; then
  [ -d "$root/src/ccc_jetson" ] || fail "$python has no ccc_jetson" "$python -m pip install ccc_jetson-*.whl"
  export PYTHONPATH=$root/src${PYTHONPATH:+:$PYTHONPATH}
fi

# Whether the words ask for work at all, and for power modes
works=yes
for word in "$@"; do
  case $word in
    -h | --help | --version | --print-completion*) works=no ;;
    --no-sudo) works=no ;;
  esac
done
has_nvpmodel() { PATH=$PATH:/usr/sbin:/sbin command -v nvpmodel >/dev/null; }
if [ "$works" = yes ] && [ "$(id -u)" != 0 ] && has_nvpmodel && command -v sudo >/dev/null; then
  if ! sudo -n true 2>/dev/null && [ -t 0 ]; then
    echo "Power modes are set as root (sudo nvpmodel); nothing else is. Without a password they are left alone." >&2
    sudo -v || true
  fi
fi

exec "$python" -m ccc_jetson.runtime.board_report.cli --checkout "$root" "$@"
