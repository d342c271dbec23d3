#!/bin/sh
# Run tests on an emulated 64-bit ARM processor: the kernels' NEON version, on a machine that has none.
#
#   tools/test_on_arm.sh [pytest arguments]        default: the tests of the native kernels, some minutes
#                                                  (not those that start Python anew, where QEMU does not follow)
#
# For Debian and Ubuntu on x86-64, as root the first time (it installs a cross compiler, QEMU and debootstrap). The ARM
# system and its Python packages lie in .arm/ and are kept. PyTorch there is 2.8: later wheels for ARM want CUDA.
set -eu
cd "$(dirname "$0")/.."
root="$PWD/.arm"
system="$root/system"
site="$root/site"

for tool in debootstrap qemu-aarch64 aarch64-linux-gnu-gcc; do
    command -v "$tool" >/dev/null && continue
    apt-get install -y -q debootstrap qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross
    break
done

if [ ! -e "$root/ready" ]; then
    rm -rf "$root"
    mkdir -p "$site"
    # bookworm has Python 3.11, for which the wheels below are
    debootstrap --foreign --arch=arm64 --variant=minbase --include=python3,libgomp1,libstdc++6 \
        bookworm "$system" ${MIRROR:+"$MIRROR"}
    for package in "$system"/var/cache/apt/archives/*.deb; do dpkg -x "$package" "$system"; done
    get() {
        python3 -m pip install -q --target "$site" --only-binary=:all: --python-version 3.11 \
            --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 --platform manylinux2014_aarch64 "$@"
    }
    get --no-deps torch==2.8.0 pytorch-msssim
    get -c constraints.txt numpy av pillow click rich safetensors huggingface_hub pytest hypothesis \
        sympy networkx jinja2 filelock fsspec typing_extensions
    printf '#!/bin/sh\nexec aarch64-linux-gnu-gcc "$@"\n' >"$root/cc"
    chmod +x "$root/cc"
    touch "$root/ready"
fi

# A processor without SVE, which this QEMU and PyTorch's wheels do not agree on.
export QEMU_CPU=cortex-a76 CC="$root/cc" PYTHONPATH="$site:$PWD" OMP_NUM_THREADS=1
# The compiler runs out here: within QEMU a fork beside threads may wait for ever.
python3 -c '
import pathlib, platform, runpy, sys
platform.machine = lambda: "aarch64"
runpy.run_path("nervplay/decode/native/build.py")["build"](pathlib.Path(sys.argv[1]))
' "${NERVPLAY_TEST_KERNELS:-.pytest_cache/kernels}"
[ $# -gt 0 ] || set -- -q tests/nervplay/decode/native/test_pool.py tests/nervplay/decode/native \
    --deselect tests/nervplay/decode/native/test_pool.py::test_a_forked_process_works_alone_and_waits_for_nobody \
    --deselect tests/nervplay/decode/native/test_build.py
exec qemu-aarch64 -L "$system" "$system/usr/bin/python3.11" -m pytest -p no:cacheprovider \
    -o addopts=--import-mode=importlib -o filterwarnings=ignore::pytest.PytestConfigWarning "$@"
