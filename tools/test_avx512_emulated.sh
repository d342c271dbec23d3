#!/bin/sh
# Run tests of the kernels' AVX-512 version on an x86-64 processor that has AVX2 alone: its instructions are emulated by
# SIMDe (and tools/avx512/emulated.h), lane by lane. Says whether results are right, nothing about speed.
#
#   tools/test_avx512_emulated.sh [pytest arguments]    default: the tests that take an instruction set, a minute or two
#
# For Debian and Ubuntu after `tools/setup.sh dev`; as root the first time (it installs libsimde-dev).
set -eu
cd "$(dirname "$0")/.."

[ -e /usr/include/simde/x86/avx512.h ] || apt-get install -y -q libsimde-dev

# A folder of its own: the library's name comes from sources and options, not from the compiler or what it includes.
version=$(cat tools/avx512/* | sha256sum | cut -c1-16)
export CC="$PWD/tools/avx512/cc" NERVPLAY_TEST_KERNELS="$PWD/.pytest_cache/kernels-avx512-$version" OMP_NUM_THREADS=1
[ $# -gt 0 ] || set -- -q -n auto -k avx512 tests/nervplay/decode
exec .venv/bin/python -m pytest -p no:cacheprovider "$@"
