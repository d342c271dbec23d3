#!/usr/bin/env bash
# Everything that `make demo` (argument: run) or `make test` (argument: dev) needs, from a bare Debian or Ubuntu with make.
# Safe to run again: a stamp in the virtual environment remembers what is done.
#   CUDA=1        take PyTorch's CUDA build; the default is the CPU build, which never pulls CUDA packages
#   PYTHON=...    the interpreter to use (3.11 or newer)
#   TORCH_INDEX=. where the CPU build is looked for when pip's own configuration has none
set -euo pipefail
cd "$(dirname "$0")/.."

extra=${1:-run}
torch=2.13.0
torch_index=${TORCH_INDEX:-https://download.pytorch.org/whl/cpu}
venv=.venv
say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# System packages: installed when we are root, otherwise named in one line.
need_packages() {
    [ $# -eq 0 ] && return
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing $*"
        apt-get update -qq >/dev/null
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
    else
        die "please install first: sudo apt-get install -y $*"
    fi
}

missing=()
python=${PYTHON:-$(command -v python3 || true)}
[ -n "$python" ] || missing+=(python3)
if [ -z "$python" ] || ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then missing+=(python3-venv); fi
if [ "$extra" = dev ]; then  # the programs that the tests feed; melt, which they also know, is 200 MB and left out
    command -v ffmpeg >/dev/null && command -v ffprobe >/dev/null || missing+=(ffmpeg)
    command -v mpv >/dev/null || missing+=(mpv)
    command -v cc >/dev/null || command -v gcc >/dev/null || missing+=(gcc libc6-dev)
    # Qt's libraries, a display and a software GL for the tests of the player
    command -v dpkg-query >/dev/null && for package in xvfb libegl1 libgl1 libgl1-mesa-dri libglib2.0-0 libdbus-1-3 \
        libfontconfig1 fonts-dejavu-core libxkbcommon0 libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-image0 \
        libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0 libxcb-xfixes0 libxcb-xkb1; do
        # a query for two names fails where one is unknown
        { dpkg-query -W -f '${Status}' "$package" "${package}t64" 2>/dev/null || true; } | grep -q 'ok installed' ||
            missing+=("$package")
    done
fi
need_packages "${missing[@]}"
python=${PYTHON:-$(command -v python3)}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    die "$("$python" --version) is too old; nervplay needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 ..."

stamp="$venv/.stamp-$extra-$(cat pyproject.toml constraints.txt tools/setup.sh | sha256sum | cut -c1-16)-${CUDA:-0}"
[ -e "$stamp" ] && exit 0

[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
# pip would compile bytecode on one core.
pip() { "$venv/bin/python" -m pip --disable-pip-version-check -qq "$@" --no-compile; }

if [ "$extra" = dev ]; then  # beside pip, which works on one core; the tests would compile what is not there
    "$python" tools/build_kernels.py .pytest_cache/kernels --decoder &
fi

have_torch=$("$venv/bin/python" -c 'import importlib.metadata as m; print(m.version("torch"))' 2>/dev/null || true)
if [ "${have_torch%%+*}" != "$torch" ]; then
    if [ "${CUDA:-0}" = 1 ] || [ "$(uname -s)" != Linux ]; then
        say "installing PyTorch $torch"
        pip install "torch==$torch"
    else
        say "installing PyTorch $torch (CPU build)"
        pip install "torch==$torch+cpu" 2>/dev/null || pip install --extra-index-url "$torch_index" "torch==$torch+cpu"
    fi
fi
say "installing nervplay and what it needs"
if [ "$extra" = dev ]; then pip install -c constraints.txt -e '.[dev]'; else pip install -c constraints.txt -e .; fi
wait
# What is hardly imported is compiled when it is; some files are for other versions of Python.
"$venv/bin/python" -m compileall -qq -j 0 -x '/(ray|mypyc?|pip|setuptools|pygments|tests?|testing)/' "$venv/lib" || true
touch "$stamp"
say "ready: $venv/bin/nervplay"
