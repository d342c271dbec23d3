#!/usr/bin/env bash
# Fit the bundled sample again. On the same kind of processor and with the same versions the file comes out the same, bit
# for bit. It can be stopped (Ctrl-C) and started again: it goes on where it was.
set -euo pipefail
cd "$(dirname "$0")/.."
target=samples/bunny-320x180.nerv
resume=()
[ -e "$target.resume" ] && resume=(--resume)
# One thread: the number of threads is part of what makes the result repeatable.
export OMP_NUM_THREADS=1
exec .venv/bin/nervplay encode samples/bigbuckbunny.mp4 "$target" \
    --preset hnerv-sample-320x180 --effort best --speed fast --scale 320x180 --audio none --device cpu --calibrate --overwrite "${resume[@]}"
