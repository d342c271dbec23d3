#version 440
// One quad over the whole canvas. `at` is the place on the canvas, 0 .. 1, y down.
layout(location = 0) out vec2 at;
layout(std140, binding = 0) uniform Look {
    mat4 matrix;
    vec4 canvas;
    vec4 picture;
    vec4 look;
    vec4 region;
    vec4 dividers;
    vec4 clip[4];
    vec4 place[4];
    vec4 sizes[4];
};
void main() {
    vec2 corner = vec2(float(gl_VertexIndex & 1), float((gl_VertexIndex >> 1) & 1));
    at = vec2(corner.x, 1.0 - corner.y);
    gl_Position = matrix * vec4(corner * 2.0 - 1.0, 0.0, 1.0);
}
