#!/usr/bin/env bash
# Fit the bundled sample again. On the same machine and library versions the file comes out the same, bit for bit.
# It can be stopped (Ctrl-C) and started again: it goes on where it was.
set -euo pipefail
cd "$(dirname "$0")/.."
resume=()
[ -e samples/bunny-320x180.nerv.fit ] && resume=(--resume)
exec .venv/bin/nervplay encode samples/bigbuckbunny.mp4 samples/bunny-320x180.nerv \
    --preset hnerv-sample-320x180 --scale 320x180 --audio none --device cpu --overwrite "${resume[@]}"
