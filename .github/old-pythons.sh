#!/usr/bin/env bash
# Builds the Pythons of JetPack 4 and 5 into a folder that may come from a cache; installs what the tests want of Debian.
#
#   .github/old-pythons.sh FOLDER
#
# actions/setup-python has 3.6 for Ubuntu 20.04 alone, whose runners are gone (actions/setup-python#544, #1048), and
# Debian has neither. pyenv builds both from python.org's source with Debian 12's OpenSSL 3.
set -euo pipefail
[ $# -eq 1 ] || { echo "old-pythons.sh: error: expected one FOLDER" >&2 && exit 2; }
folder=$1
pyenv=v2.6.30
versions=(3.6.15 3.8.20)

apt-get update
# chromium: tests of pages; systemd: systemd-analyze looks at deploy/
apt-get install -y --no-install-recommends chromium systemd
for version in "${versions[@]}"; do
  [ -x "$folder/versions/$version/bin/python" ] || missing=yes
done
if [ -n "${missing:-}" ]; then
  rm -rf "$folder"
  git clone --quiet --depth 1 --branch "$pyenv" https://github.com/pyenv/pyenv.git "$folder"
  for version in "${versions[@]}"; do PYENV_ROOT=$folder "$folder/bin/pyenv" install "$version"; done
fi
for version in "${versions[@]}"; do
  "$folder/versions/$version/bin/python" -c 'import ctypes, lzma, sqlite3, ssl, sys, zlib; print(sys.version)'
done
