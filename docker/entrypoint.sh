#!/bin/sh
# Starts a command of ccc-jetson in a container, and says beforehand, in a sentence with the cure, what would else fail
# in the middle of TensorRT or GStreamer: no NVIDIA runtime, an image for another L4T, an empty libnvinfer, no camera.
#
#   ccc-entrypoint [COMMAND] [ARGUMENT...]   starts it; COMMAND is ccc-run where the first argument is an option
#   ccc-entrypoint --check [ARGUMENT...]     only looks, as for "ccc-run ARGUMENT..."
#   ccc-entrypoint --health                  looks again, as for what the container was started with (HEALTHCHECK)
#
# CCC_IMAGE and CCC_IMAGE_L4T ("32.7"; empty off a Jetson) are set by the Dockerfile. CCC_HOST_L4T ("32.7.4") comes from
# docker/run.sh; without it /etc/nv_tegra_release or the kernel tells. CCC_ROOT is another root for the tests.
set -u

root=${CCC_ROOT:-}
image=${CCC_IMAGE:-}
image_l4t=${CCC_IMAGE_L4T:-}
problems=0

problem() {
  printf 'ccc-entrypoint: error: %s\n  -> %s\n' "$1" "$2" >&2
  problems=$((problems + 1))
}

# The board's L4T, "32.7.4", or what the kernel gives away, "32"; nothing where neither tells
host_l4t() {
  if [ -n "${CCC_HOST_L4T:-}" ]; then
    echo "$CCC_HOST_L4T"
  elif [ -s "$root/etc/nv_tegra_release" ]; then
    # "# R32 (release), REVISION: 7.4, GCID: 33514132, BOARD: t186ref, EABI: aarch64, DATE: Fri Jun 9 04:25:08 UTC 2023"
    sed -n 's/^# R\([0-9]*\) (release), REVISION: \([0-9.]*\),.*/\1.\2/p' "$root/etc/nv_tegra_release"
  else
    case $(uname -r) in
      4.9.*-tegra) echo 32 ;;
      5.10.*-tegra) echo 35 ;;
      5.15.*-tegra) echo 36 ;;
    esac
  fi
}

check_l4t() {
  host=$(host_l4t)
  wanted=$image_l4t
  # the kernel tells no more than the first number
  case $host in *.*) ;; *) wanted=${wanted%%.*} ;; esac
  case $host. in
    . | "$wanted".*) ;;
    *)
      problem "this image ($image) is for L4T $image_l4t, this board has L4T $host: CUDA and TensorRT would not fit" \
        "docker/run.sh takes the image that fits; docs/containers.md says which that is"
      ;;
  esac
}

check_runtime() {
  # every Jetson has it, and the NVIDIA runtime alone brings it in (l4t.csv, devices.csv)
  [ -e "$root/dev/nvmap" ] || problem "there is no GPU in this container: it was started without the NVIDIA runtime" \
    'docker run --runtime nvidia ..., as docker/run.sh does; for every container: "default-runtime": "nvidia" in /etc/docker/daemon.json'
}

# The cure where the runtime is there and TensorRT is not
tensorrt_cure() {
  case $image_l4t in
    32*)
      if [ "${NVIDIA_REQUIRE_JETPACK:-}" = csv-mounts=all ]; then
        echo "on the board: sudo apt install tensorrt nvidia-container-csv-tensorrt nvidia-container-csv-cuda nvidia-container-csv-cudnn"
      else
        echo "docker run -e NVIDIA_REQUIRE_JETPACK=csv-mounts=all ..., or the runtime mounts no CUDA and no TensorRT"
      fi
      ;;
    *) echo "the image is damaged: build it again without --build-arg BASE (docs/containers.md)" ;;
  esac
}

check_tensorrt() {
  found=""
  for library in "$root"/usr/lib/aarch64-linux-gnu/libnvinfer.so.[0-9]*; do
    [ -e "$library" ] || continue
    found=$library
    [ -s "$library" ] || {
      problem "${library#"$root"} is an empty file ('file too short'): TensorRT was not mounted over it" "$(tensorrt_cure)"
      return
    }
  done
  [ -n "$found" ] || {
    problem "there is no TensorRT in this container: no /usr/lib/aarch64-linux-gnu/libnvinfer.so" "$(tensorrt_cure)"
    return
  }
  for folder in "$root"/usr/lib/python3*/dist-packages/tensorrt "$root"/usr/local/lib/python3*/dist-packages/tensorrt; do
    [ ! -d "$folder" ] || return 0
  done
  case $image_l4t in
    32*)
      problem "TensorRT's Python module is not in this container: the board's tensorrt.csv does not name it" \
        "docker/run.sh mounts it; by hand: -v /usr/lib/python3.6/dist-packages/tensorrt:/usr/lib/python3.6/dist-packages/tensorrt:ro; if it is not there: sudo apt install python3-libnvinfer"
      ;;
    *) problem "TensorRT's Python module is not in this container" "$(tensorrt_cure)" ;;
  esac
}

check_csi() {
  [ -S "$root/tmp/argus_socket" ] || problem "a CSI camera needs the board's camera service: there is no socket /tmp/argus_socket" \
    "docker run -v /tmp/argus_socket:/tmp/argus_socket ..., as docker/run.sh does; on the board: sudo systemctl restart nvargus-daemon, then start the container again"
}

check_device() {
  name=${1#/dev/}
  if [ ! -e "$root$1" ]; then
    others=""
    for other in "$root"/dev/video[0-9]*; do
      [ ! -e "$other" ] || others="$others ${other#"$root"}"
    done
    problem "the camera $1 is not in this container, which has${others:- no /dev/video*}" \
      "docker run --device $1 ..., as docker/run.sh --camera $1 does; on the board: ls -l /dev/video*"
  elif [ ! -r "$root$1" ] || [ ! -w "$root$1" ]; then
    problem "the camera $1 is not for the user of this container ($(id -u), groups $(id -G))" \
      "docker run --group-add $(stat -c %g "$root$1") ..., as docker/run.sh does"
  elif [ "${name#video}" != "$name" ] && [ -d "$root/sys/class" ] && [ ! -e "$root/sys/class/video4linux/$name" ]; then
    # the container's /dev is its own and keeps what was there at its start; the kernel's list is the machine's
    problem "the camera $1 was pulled out" "plug it in, and start the container again"
  fi
}

# One source: /dev/video0, 0, v4l2:///dev/video0?..., csi://0; others need nothing of the container
check_source() {
  case $1 in
    csi://*) check_csi ;;
    v4l2://*) without=${1#v4l2://} && check_device "${without%%\?*}" ;;
    /dev/*) check_device "${1%%\?*}" ;;
    [0-9] | [0-9][0-9]) check_device "/dev/video$1" ;;
  esac
}

# Options of ccc-run that no value follows, as in docker/run.sh
flags=" --no-reconnect --no-cuda-graph --no-telemetry --json --window --headless --legend"

check_sources() {
  command=${1##*/}
  option=""
  shift
  for word in "$@"; do
    case $word in
      --camera=*) check_source "${word#--camera=}" ;;
      --csi | --csi=*) check_csi ;;
      csi://* | v4l2://* | /dev/video*) check_source "$word" ;;
      -*) ;;
      # "ccc-run --headless 0"; the 0 of "--threads 0" is no camera
      *) case $option:$command in --camera:* | :ccc-run) check_source "$word" ;; esac ;;
    esac
    # the option whose value comes next; the pictures of --images go on to the next option
    case $word in
      --*=*) option="" ;;
      -*) case $flags in *" $word"*) option="" ;; *) option=$word ;; esac ;;
      *) [ "$option" = --images ] || option="" ;;
    esac
  done
}

# What the page (--serve) says of the run behind it: 503 where no frame came for too long
check_page() {
  option=""
  for word in "$@" ""; do
    case $option in
      --serve) address=$word ;;
      --serve=*) address=${option#--serve=} ;;
      *) option=$word && continue ;;
    esac
    # HOST:PORT, HOST, PORT, or nothing: the next word is an option or the last one was
    host=127.0.0.1 port=8080
    case $address in
      -* | "" | "["*"]") ;;
      *[!0-9]*:*[0-9]) host=${address%:*} port=${address##*:} ;;
      *[!0-9]*) host=$address ;;
      *) port=$address ;;
    esac
    [ "$host" != 0.0.0.0 ] || host=127.0.0.1
    [ "$port" -ne 0 ] || return 0  # any free one, which only the log knows
    said=$(python3 -c '
import sys, urllib.error, urllib.request
try:
    urllib.request.urlopen(sys.argv[1], timeout=5).close()
except urllib.error.HTTPError as error:
    if error.code == 503:
        print(error.read(200).decode("utf-8", "replace").strip() or "503")
except (OSError, ValueError) as error:
    print(error)
' "http://$host:$port/healthz") || said="python3 does not start"
    [ -z "$said" ] || problem "the page at $host:$port: $said" "docker logs has what happened; docker restart"
    return
  done
}

# What a command with these arguments needs of the container
check() {
  case ${1##*/} in
    ccc-run | ccc-eval | ccc-bench | ccc-build-engine) ;;
    *) return ;;
  esac
  for word in "$@"; do
    case $word in
      -h | --help | --version | --print-completion | --print-completion=* | compare) return ;;
    esac
  done
  if [ -n "$image_l4t" ]; then
    check_l4t
    check_runtime
    # without the runtime nothing is mounted, which has been said
    [ "$problems" -ne 0 ] || check_tensorrt
  fi
  check_sources "$@"
}

# The words of the container's first process from ccc-... on; docker-init and Python come before it
check_first_process() {
  words=""
  first=""
  while IFS= read -r word; do
    case ${word##*/} in
      ccc-entrypoint) continue ;;
      ccc-*) first=found ;;
    esac
    [ -z "$first" ] || words="$words$word
"
  done <<EOF
$(tr '\0' '\n' <"$root/proc/1/cmdline")
EOF
  # split at line ends alone; no names of files are made of what looks like patterns
  set -f
  IFS='
'
  # shellcheck disable=SC2086
  set -- $words
  unset IFS
  set +f
  [ $# -eq 0 ] || {
    check "$@"
    check_page "$@"
  }
}

case ${1:-} in
  --health)
    check_first_process
    exit "$((problems != 0))"
    ;;
  --check)
    shift
    check ccc-run "$@"
    exit "$((problems != 0))"
    ;;
  -*) set -- ccc-run "$@" ;;
esac
[ $# -gt 0 ] || set -- ccc-run --help
check "$@"
[ "$problems" -eq 0 ] || exit 1
exec "$@"
