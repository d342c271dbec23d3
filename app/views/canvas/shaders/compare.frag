#version 440
// The twin of app/views/canvas/soft.py: same geometry, same formulas, one pass. All places are device pixels.
layout(location = 0) in vec2 at;
layout(location = 0) out vec4 colour;
layout(std140, binding = 0) uniform Look {
    mat4 matrix;
    vec4 canvas;      // width, height, scale across, scale down
    vec4 picture;     // width, height, smooth, number of panes
    vec4 look;        // computed picture (0 none, 1 difference, 2 signed, 3 heat), gain, region shown, comparable
    vec4 region;      // left, top, width, height in picture pixels
    vec4 dividers;    // column of a divider, -1 for none
    vec4 clip[4];     // left, top, width, height of each pane
    vec4 place[4];    // left, top of its picture; which picture, -1 for none
    vec4 sizes[4];    // width, height of each texture
};
layout(binding = 1) uniform sampler2D textureA;
layout(binding = 2) uniform sampler2D textureB;
layout(binding = 3) uniform sampler2D textureC;
layout(binding = 4) uniform sampler2D textureD;

const vec3 background = vec3(18.0, 18.0, 20.0) / 255.0;

vec3 read_picture(int number, vec2 point) {
    vec2 size = sizes[number].xy;
    vec2 place = point * size / picture.xy;
    if (picture.z < 0.5) place = floor(place) + 0.5;
    place /= size;
    if (number == 0) return texture(textureA, place).rgb;
    if (number == 1) return texture(textureB, place).rgb;
    if (number == 2) return texture(textureC, place).rgb;
    return texture(textureD, place).rgb;
}

vec3 heat(float t) {
    t = clamp(t, 0.0, 1.0);
    return clamp(vec3(1.6 * t, 2.2 * t * t - 0.25 * t, 1.9 * t * (1.0 - t) * (1.0 - t) + 0.6 * t * t * t), 0.0, 1.0);
}

vec3 computed(vec2 point) {
    vec3 apart = read_picture(0, point) - read_picture(1, point);
    if (look.x > 1.5 && look.x < 2.5) return clamp(128.0 / 255.0 + apart * look.y * 0.5 - 0.25 / 255.0, 0.0, 1.0);
    vec3 amplified = min(abs(apart) * look.y, vec3(1.0));
    if (look.x < 1.5) return amplified;
    // whole levels, as the painter has them: 0.01 keeps sums that are whole from falling below
    return heat(floor(dot(floor(amplified * 255.0 + 0.5), vec3(11.0, 16.0, 5.0)) / 32.0 + 0.01) / 255.0);
}

bool on_outline(vec2 pixel, vec2 origin) {
    vec2 low = floor(origin + region.xy * canvas.zw + 0.5);
    vec2 high = floor(origin + (region.xy + region.zw) * canvas.zw + 0.5);
    vec2 inside = floor(pixel);
    bool within = all(greaterThanEqual(inside, low)) && all(lessThan(inside, high));
    bool core = all(greaterThan(inside, low)) && all(lessThan(inside, high - 1.0));
    return look.z > 0.5 && within && !core;
}

void main() {
    vec2 pixel = at * canvas.xy;
    vec3 shown = background;
    for (int number = 0; number < 4; number++) {
        if (float(number) >= picture.w || place[number].z < -1.5) continue;
        vec2 inside = pixel - clip[number].xy;
        if (any(lessThan(inside, vec2(0.0))) || any(greaterThanEqual(inside, clip[number].zw))) continue;
        vec2 point = (pixel - place[number].xy) / canvas.zw;
        if (any(lessThan(point, vec2(0.0))) || any(greaterThanEqual(point, picture.xy))) continue;
        int source = int(place[number].z + 0.5);
        shown = place[number].z < -0.5 ? (look.w > 0.5 ? computed(point) : background) : read_picture(source, point);
        if (on_outline(pixel, place[number].xy)) shown = vec3(255.0, 200.0, 0.0) / 255.0;
    }
    if (dividers.x >= 0.0 && abs(pixel.x - dividers.x) < 1.0) shown = vec3(1.0);
    colour = vec4(shown, 1.0);
}
