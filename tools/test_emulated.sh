#!/bin/sh
# Run tests of the kernels' AVX-512 and AVX-VNNI versions on an x86-64 processor that has AVX2 alone: their instructions
# are emulated by SIMDe (and tools/emulated/emulated.h), lane by lane. Says whether results are right, nothing about speed.
#
#   tools/test_emulated.sh [pytest arguments]    default: the tests that take an instruction set, a minute or two
#
# For Debian and Ubuntu after `tools/setup.sh dev`; as root the first time (it installs libsimde-dev).
set -eu
cd "$(dirname "$0")/.."

[ -e /usr/include/simde/x86/avx512.h ] || apt-get install -y -q libsimde-dev

# A folder of its own: the library's name comes from sources and options, not from the compiler or what it includes.
version=$(cat tools/emulated/* | sha256sum | cut -c1-16)
export CC="$PWD/tools/emulated/cc" NERVPLAY_TEST_KERNELS="$PWD/.pytest_cache/kernels-emulated-$version" OMP_NUM_THREADS=1
[ $# -gt 0 ] || set -- -q -n auto -k "avx512 or avxvnni" tests/nervplay/decode
exec .venv/bin/python -m pytest -p no:cacheprovider "$@"
