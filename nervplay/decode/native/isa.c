/* All kernels once for one instruction set: compiled several times, NK_NAME naming the table. */
#include "direct.h"
#include "enlarge.h"
#include "flat.h"
#include "ghost.h"
#include "head.h"
#include "line.h"
#include "line_pairs.h"
#include "line_pairs16.h"
#include "mix.h"
#include "point.h"
#include "wino.h"

#if defined(NK_AVXVNNI)
#include <cpuid.h>
#endif

#define TEXT(x) #x
#define QUOTED(x) TEXT(x)
#define JOIN(a, b) a##b
#define TABLE(name) JOIN(nk_, name)

static int supported(void) {
#if defined(NK_AVX512)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni");
#elif defined(NK_AVX2)
#if defined(NK_AVXVNNI) /* whose name not every compiler knows that knows the instructions */
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 1, &a, &b, &c, &d) || !(a >> 4 & 1)) return 0;
#endif
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return 1;
#endif
}

/* Intel's adders are its multipliers. */
static int adds_apart(void) {
#if defined(NK_AVX512)
    return __builtin_cpu_is("amd") != 0;
#else
    return 0;
#endif
}

static size_t scratch(const nk_op *op) {
    switch (op->kind) {
    case NK_DIRECT: return direct_scratch(op);
    case NK_HEAD: case NK_HEAD16: return head_scratch(op);
#if defined(NK_AVX512)
    case NK_LINE: case NK_LINE16: return line_scratch(op);
    case NK_LINE_PAIRS: return pairs_scratch(op);
    case NK_LINE_PAIRS16: return words_scratch(op);
#endif
    case NK_MIX: case NK_MIX16: return mix_scratch(op);
    case NK_ENLARGE: return enlarge_scratch(op);
    case NK_POINT: return point_scratch(op);
    case NK_GHOST: return ghost_scratch(op);
    case NK_FLAT16: return flat_scratch(op);
    default: return wino_scratch(op);
    }
}

static int pieces(const nk_op *op, int row0, int row1) {
    switch (op->kind) {
    case NK_WINO: case NK_WINO16: return wino_pieces(op, row0, row1);
#if defined(NK_AVX512)
    case NK_LINE: case NK_LINE16: case NK_LINE_PAIRS: case NK_LINE_PAIRS16: return line_pieces(op, row0, row1);
#endif
    case NK_GHOST: return ghost_pieces(op, row0, row1);
    default: return row_pieces(op, row0, row1);
    }
}

static void piece(const nk_op *op, const nk_map *in, nk_map *out, int row0, int row1, int number, void *work) {
    switch (op->kind) {
    case NK_DIRECT: direct_piece(op, in, out, row0, row1, number, work); break;
    case NK_HEAD: case NK_HEAD16: head_piece(op, in, out, row0, row1, number, work); break;
#if defined(NK_AVX512)
    case NK_LINE: case NK_LINE16: line_piece(op, in, out, row0, row1, number, work); break;
    case NK_LINE_PAIRS: pairs_piece(op, in, out, row0, row1, number, work); break;
    case NK_LINE_PAIRS16: words_piece(op, in, out, row0, row1, number, work); break;
#endif
    case NK_MIX: case NK_MIX16: mix_piece(op, in, out, row0, row1, number, work); break;
    case NK_ENLARGE: enlarge_piece(op, in, out, row0, row1, number, work); break;
    case NK_POINT: point_piece(op, in, out, row0, row1, number, work); break;
    case NK_GHOST: ghost_piece(op, in, out, row0, row1, number, work); break;
    case NK_FLAT16: flat_piece(op, in, out, row0, row1, number, work); break;
    default: wino_piece(op, in, out, row0, row1, number, work);
    }
}

const nk_kernels TABLE(NK_NAME) = {
    QUOTED(NK_NAME), NK_LANES, NK_PANEL, supported, adds_apart, scratch, pieces, piece, linear_part, depthwise_row, wino_peak,
    moments_row,
};
