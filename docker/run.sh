#!/usr/bin/env bash
# Runs ccc-run, or another command of ccc-jetson, in the container that fits this machine.
#
#   docker/run.sh --camera /dev/video0 --model model.engine
#   docker/run.sh --camera /dev/video0 --serve 0.0.0.0:8080
#   docker/run.sh ccc-build-engine --fp16
#   docker/run.sh --print --camera /dev/video0      the docker command, which is not run
#
# Its own options come first:
#   --print         print the docker command and end; only the folder for what is kept is made
#   --image NAME    instead of ccc-jetson:jetpack4, 5 or 6, by the board's L4T, or ccc-jetson:workstation on a PC
#   --data FOLDER   a folder beside the current one, seen under the same name; more than once is fine
#   --root          as root; else as the user who calls, with the groups that cameras and the GPU belong to
#   --help
# Everything else goes to the command, which is ccc-run where none is named. The current folder is seen under its own
# name and is where results are written; compiled kernels and timings are kept in ~/.cache/ccc-jetson, as without a
# container. CCC_ROOT is another root for the tests.
set -euo pipefail

root=${CCC_ROOT:-}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
image="" l4t="" print="" as_root=""
folders=("$PWD")
docker_words=()

fail() {
  printf 'docker/run.sh: error: %s\n  -> %s\n' "$1" "$2" >&2
  exit "${3:-1}"
}

usage() { sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; }

# The board's L4T: "32.7.4"; nothing off a Jetson
board_l4t() {
  [ -r "$root/etc/nv_tegra_release" ] || return 0
  # "# R32 (release), REVISION: 7.4, GCID: 33514132, BOARD: t186ref, EABI: aarch64, DATE: Fri Jun 9 04:25:08 UTC 2023"
  sed -n 's/^# R\([0-9]*\) (release), REVISION: \([0-9.]*\),.*/\1.\2/p' "$root/etc/nv_tegra_release"
}

image_for() {
  case $1 in
    32.7.*) echo ccc-jetson:jetpack4 ;;
    35.*) echo ccc-jetson:jetpack5 ;;
    36.*) echo ccc-jetson:jetpack6 ;;
    "")
      [ "$(uname -m)" = x86_64 ] || fail "this is neither a PC nor a Jetson with /etc/nv_tegra_release" "docker/run.sh --image NAME ..."
      echo ccc-jetson:workstation
      ;;
    32.*) fail "this board has L4T $1, and the image for JetPack 4 is for L4T 32.7" "update JetPack to 4.6.1 or newer, the last of which is 4.6.6 (L4T 32.7.6)" ;;
    *) fail "there is no image for L4T $1; there are those for 32.7, 35 and 36" "docker/run.sh --image NAME ..., or without a container: pip install of the wheel" ;;
  esac
}

# What the board's files are worth in a container: the version, the power mode, the figures of the sensors
mount_if_there() {
  local path
  for path in "$@"; do
    [ ! -e "$root$path" ] || docker_words+=(-v "$path:$path:ro")
  done
}

add_group_of() {
  local path=$1 group
  [ -e "$root$path" ] || return 0
  group=$(stat -c %g "$root$path")
  case " ${docker_words[*]} " in *" --group-add $group "*) ;; *) docker_words+=(--group-add "$group") ;; esac
}

add_device() {
  local device=$1
  [ -e "$root$device" ] || {
    local found=("$root"/dev/video[0-9]*)
    [ -e "${found[0]}" ] || found=("no /dev/video* at all")
    fail "there is no $device on this machine, which has ${found[*]#"$root"}" "plug the camera in, and look: ls -l /dev/video*"
  }
  docker_words+=(--device "$device")
  [ -n "$as_root" ] || add_group_of "$device"
}

add_csi() {
  [ -S "$root/tmp/argus_socket" ] || fail "a CSI camera needs the board's camera service: there is no socket /tmp/argus_socket" "sudo systemctl restart nvargus-daemon"
  case " ${docker_words[*]} " in *" /tmp/argus_socket:"*) ;; *) docker_words+=(-v /tmp/argus_socket:/tmp/argus_socket) ;; esac
}

# One source: /dev/video0, 0, v4l2:///dev/video0?..., csi://0; others need nothing of the machine
add_source() {
  local source=$1
  case $source in
    csi://*) add_csi ;;
    v4l2://*) source=${source#v4l2://} && add_device "${source%%\?*}" ;;
    /dev/*) add_device "${source%%\?*}" ;;
    [0-9] | [0-9][0-9]) add_device "/dev/video$source" ;;
  esac
}

# Options of ccc-run that no value follows, as in docker/entrypoint.sh
flags=" --no-reconnect --no-cuda-graph --no-telemetry --json --window --headless --legend"

# What the command's words need of the machine
add_for_words() {
  local command=$1 option="" word
  shift
  for word in "$@"; do
    case $word in
      --camera=*) add_source "${word#--camera=}" ;;
      --csi | --csi=*) add_csi ;;
      csi://* | v4l2://* | /dev/video*) add_source "$word" ;;
      # with the machine's own network 127.0.0.1 stays this machine, and the page asks for a token where it should
      --serve | --serve=*) docker_words+=(--network host) ;;
      -*) ;;
      # "ccc-run --headless 0"; the 0 of "--threads 0" is no camera
      *) case $option:$command in --camera:* | :ccc-run) add_source "$word" ;; esac ;;
    esac
    # the option whose value comes next; the pictures of --images go on to the next option
    case $word in
      --*=*) option="" ;;
      -*) case $flags in *" $word"*) option="" ;; *) option=$word ;; esac ;;
      *) [ "$option" = --images ] || option="" ;;
    esac
  done
}

# Whether a path without links is in a folder that the container sees
is_seen() {
  local folder
  for folder in "${folders[@]}"; do
    case $1/ in "$folder"/*) return 0 ;; esac
  done
  return 1
}

# Where the container would look for a path, in "inside": it has the folders under the names that they were given, and
# follows the links in them, which may lead out
follow_as_inside() {
  local rest=$1 name target links=0
  case $rest in /*) ;; *) rest=$PWD/$rest ;; esac
  inside=""
  while [ -n "$rest" ]; do
    name=${rest%%/*}
    case $rest in */*) rest=${rest#*/} ;; *) rest="" ;; esac
    case $name in
      "" | .) continue ;;
      ..) inside=${inside%/*} && continue ;;
    esac
    # what leads to a folder is no link in there, unless it is in another of them
    if is_seen "$inside" && [ -L "$inside/$name" ] && [ $((links += 1)) -le 40 ]; then
      target=$(readlink -- "$inside/$name")
      case $target in /*) inside="" ;; esac
      rest=$target/$rest
    else
      inside=$inside/$name
    fi
  done
}

# A file elsewhere would not be found in the container, and a result written elsewhere would be lost with it
check_seen() {
  local word parent inside
  for word in "$@"; do
    case $word in --*=*) word=${word#*=} ;; esac
    case $word in file://*) word=${word#file://} ;; @*) word=${word#@} ;; esac
    case $word in "" | *://* | /dev/* | -*) continue ;; esac
    # what is there, or would be written; names of layers start with a slash, too
    parent=$(dirname -- "$word")
    [ -e "$word" ] || [ -L "$word" ] || { [ -d "$parent" ] && [ "$parent" != / ]; } || continue
    follow_as_inside "$word"
    is_seen "$inside" || {
      [ -d "$inside" ] || inside=$(dirname -- "$inside")
      fail "$word is outside the folders that the container sees (${folders[*]})" "docker/run.sh --data '$inside' ..." 2
    }
  done
}

check_docker() {
  command -v docker >/dev/null || fail "there is no docker here" "sudo apt install docker.io"
  local runtimes
  runtimes=$(docker info --format '{{json .Runtimes}}' 2>&1) || fail "docker does not answer: ${runtimes##*$'\n'}" \
    "sudo systemctl start docker; if it says permission denied: sudo usermod -aG docker \$USER, and log in again"
  if [ -n "$l4t" ]; then
    case $runtimes in
      *'"nvidia"'*) ;;
      *) fail "docker has no NVIDIA runtime" "sudo apt install nvidia-container-toolkit (JetPack 4: nvidia-docker2), then: sudo systemctl restart docker" ;;
    esac
  fi
  docker image inspect "$image" >/dev/null 2>&1 || {
    local dockerfile=docker/${image##*:}/Dockerfile build="docker build"
    [ -e "$here/../$dockerfile" ] || fail "there is no image $image here" "docker images"
    # without BuildKit, which would not use the NVIDIA runtime
    [ "$image" != ccc-jetson:jetpack4 ] || build="DOCKER_BUILDKIT=0 docker build"
    fail "there is no image $image here yet" "cd '${here%/docker}' && $build --tag $image --file $dockerfile ."
  }
}

while [ $# -gt 0 ]; do
  case $1 in
    --print) print=yes && shift ;;
    --root) as_root=yes && shift ;;
    --image | --data)
      [ $# -ge 2 ] || fail "$1 has no value" "docker/run.sh --help" 2
      if [ "$1" = --image ]; then
        image=$2
      else
        [ -d "$2" ] || fail "--data: there is no folder $2" "docker/run.sh --help" 2
        folders+=("$(cd "$2" && pwd)")
      fi
      shift 2
      ;;
    -h | --help) usage && exit 0 ;;
    --) shift && break ;;
    *) break ;;
  esac
done

l4t=$(board_l4t)
[ -n "$image" ] || image=$(image_for "$l4t")
case ${1:-} in ccc-*) ;; *) set -- ccc-run "$@" ;; esac

# docker-init: a process with number 1 that passes signals on; ccc-run finishes its frames at Ctrl-C
docker_words+=(run --rm --init)
# a terminal of the container's own only where all three are one: it would mix the errors into "--json > run.json"
if [ -t 0 ] && [ -t 1 ] && [ -t 2 ]; then
  docker_words+=(-it)
elif [ -t 0 ]; then
  docker_words+=(-i)
fi
if [ -n "$l4t" ]; then
  docker_words+=(--runtime nvidia -e "CCC_HOST_L4T=$l4t")
  mount_if_there /etc/nv_tegra_release /etc/nvpmodel.conf /var/lib/nvpmodel /usr/bin/tegrastats
  # some tensorrt.csv of JetPack 4 do not name TensorRT's Python module
  tensorrt=/usr/lib/python3.6/dist-packages/tensorrt
  grep -qs "$tensorrt" "$root/etc/nvidia-container-runtime/host-files-for-container.d/tensorrt.csv" || mount_if_there "$tensorrt"
fi
if [ -z "$as_root" ]; then
  docker_words+=(--user "$(id -u):$(id -g)")
  add_group_of /dev/nvmap
  for node in "$root"/dev/dri/renderD*; do add_group_of "${node#"$root"}"; done
fi
for secret in CCC_SERVE_TOKEN CCC_RTSP_PASSWORD; do
  [ -z "${!secret:-}" ] || docker_words+=(-e "$secret")  # its value is not shown
done
# a service of systemd's may have no HOME; ~ is then what the list of users says
home=${HOME:-~}
cache=${CCC_JETSON_CACHE:-${XDG_CACHE_HOME:-$home/.cache}/ccc-jetson}
docker_words+=(-v "$cache:/var/cache/ccc/ccc-jetson")
for folder in "${folders[@]}"; do
  case $folder in
    /) fail "the whole disk is not mounted into a container" "start it in the folder with the model, or name that: --data FOLDER" 2 ;;
    *:*) fail "$folder: docker takes no folder with a colon in its name" "rename it" 2 ;;
  esac
  docker_words+=(-v "$folder:$folder")
done
docker_words+=(-w "$PWD")
check_seen "${@:2}"
add_for_words "$@"
docker_words+=("$image")

# else docker makes it, as root's; the line that is printed mounts it, too
mkdir -p "$cache" 2>/dev/null || fail "the folder $cache cannot be made" "CCC_JETSON_CACHE=FOLDER docker/run.sh ..."

if [ -n "$print" ]; then
  printf '%q ' docker "${docker_words[@]}" "$@" | sed 's/ $//'
  echo
  exit 0
fi
check_docker
exec docker "${docker_words[@]}" "$@"
