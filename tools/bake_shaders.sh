#!/usr/bin/env bash
# Bake the player's shaders for all graphics APIs: app/views/canvas/shaders/*.qsb are in the tree, run this after a change.
# Needs qsb of Qt's shader tools: apt-get install qt6-shader-baker, or pip install PySide6-Addons (pyside6-qsb).
set -euo pipefail
cd "$(dirname "$0")/../app/views/canvas/shaders"
qsb=${QSB:-$(command -v qsb || command -v /usr/lib/qt6/bin/qsb || command -v pyside6-qsb)}
for shader in compare.vert compare.frag; do
    "$qsb" --glsl "100 es,120,150" --hlsl 50 --msl 12 -o "$shader.qsb" "$shader"
done
