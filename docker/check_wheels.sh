#!/usr/bin/env bash
# Asks the package index whether every pinned package is there for the image's Python on aarch64: a wheel, or for those
# that the image builds (pycuda, pytools) the source. Needs an index, no board and no Docker; downloads some 100 MB.
#
#   docker/check_wheels.sh [jetpack4|jetpack5|jetpack6]...      all of them where none is named
set -euo pipefail
cd "$(dirname "$0")/.."

# of the image: Python, its ABI, the newest manylinux that its C library runs (Ubuntu 18.04, 20.04, 22.04)
describe() {
  case $1 in
    jetpack4) python=3.6 abi=cp36m glibc=27 ;;
    jetpack5) python=3.8 abi=cp38 glibc=31 ;;
    jetpack6) python=3.10 abi=cp310 glibc=35 ;;
    *) echo "check_wheels.sh: error: there is no image $1; there are jetpack4, jetpack5, jetpack6" >&2 && exit 2 ;;
  esac
}

pip_download() {
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$folder" --python-version "$python" "$@"
}

check_image() {
  local constraints pin minor platforms=() built=() missing=0
  describe "$1"
  constraints=$(sed -n 's#^COPY \(constraints/.*\.txt\) /opt/constraints\.txt$#\1#p' "docker/$1/Dockerfile")
  for ((minor = 17; minor <= glibc; minor++)); do platforms+=(--platform "manylinux_2_${minor}_aarch64"); done
  echo "$1: Python $python, aarch64, glibc 2.$glibc, $constraints"
  while read -r pin; do
    if pip_download --only-binary=:all: --implementation cp --abi "$abi" --abi abi3 --abi none \
      --platform manylinux2014_aarch64 "${platforms[@]}" "$pin" >"$folder/said" 2>&1; then
      echo "  $pin"
    elif pip_download --no-binary=:all: --no-build-isolation "$pin" >"$folder/said" 2>&1; then
      echo "  $pin, source" && built+=("${pin%%==*}")
    else
      echo "  $pin: NOT FOUND: $(grep -m 1 ERROR "$folder/said" || tail -n 1 "$folder/said")" && missing=1
    fi
  done < <(grep -v '^#' "$constraints")
  for pin in ${built[@]+"${built[@]}"}; do
    # nothing else is compiled in the images
    case $pin in pycuda | pytools) ;; *) echo "  $pin has no wheel, and the image does not build it" && missing=1 ;; esac
  done
  return "$missing"
}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
[ $# -gt 0 ] || set -- jetpack4 jetpack5 jetpack6
failed=0
for image in "$@"; do check_image "$image" || failed=1; done
exit "$failed"
