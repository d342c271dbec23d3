/* Nets: convolutions between which maps part and meet again, computed strip by strip as chains are (`chain.c`). Which strip
   comes when is worked out in Python, `schedule.py`; here it is run. */
#include "nk.h"

/* Floats of a row in a ring: an odd number of cache lines, so that the rows of a tile lie in different sets of the cache;
   the vector behind the last channel may be read. */
static size_t net_pitch(const nk_place *place) {
    const size_t floats = ((size_t)place->width * (size_t)place->channels + (place->narrow ? 1 : 0)) / (place->narrow ? 2 : 1);
    return place->memory ? floats : ((floats + 15) / 16 | 1) * 16;
}

/* Floats of the rows of a ring. */
static size_t net_floats(const nk_place *place) { return place->memory ? 0 : net_pitch(place) * (size_t)place->ring + 16; }

/* What all turns of a net share. */
typedef struct {
    const nk_kernels *kernels;
    char *scratch;
    size_t scratch_size;
} nk_turns;

typedef struct {
    const nk_turns *shared;
    const nk_op *op;
    nk_map in[NK_MAX_SOURCES + 1], out;
    int row0, row1;
} nk_turn;

static void run_turn(void *context, int item, int worker) {
    nk_turn *t = context;
    const nk_turns *all = t->shared;
    all->kernels->piece(t->op, t->in, &t->out, t->row0, t->row1, item, all->scratch + (size_t)worker * all->scratch_size);
}

static nk_map part_of(const nk_map *maps, const nk_part *part) {
    nk_map map = maps[part->map];
    if (map.narrow) map.base = (float *)(void *)((int16_t *)(void *)map.base + part->first);
    else map.base += part->first;
    map.channels = part->channels;
    return map;
}

static nk_turn turn_of(const nk_turns *shared, const nk_node *nodes, const nk_map *maps, const int32_t *at) {
    const nk_node *node = &nodes[at[0]];
    const int sources = node->op->sources > 1 ? node->op->sources : 1;
    nk_turn turn = {.shared = shared, .op = node->op, .out = part_of(maps, &node->target), .row0 = at[1], .row1 = at[2]};
    for (int k = 0; k < sources; k++) turn.in[k] = part_of(maps, &node->source[k]);
    if (node->op->added) turn.in[sources] = part_of(maps, &node->added);
    return turn;
}

static void run_net(nk_pool *pool, const nk_turns *shared, const nk_node *nodes, const nk_map *maps, const int32_t *turns,
                    int all) {
    nk_turn made[NK_ROUNDS];
    nk_round rounds[NK_ROUNDS];
    for (int first = 0, count; first < all; first += count) {
        count = all - first < NK_ROUNDS ? all - first : NK_ROUNDS;
        for (int i = 0; i < count; i++, turns += NK_TURN) {
            made[i] = turn_of(shared, nodes, maps, turns);
            rounds[i] = (nk_round){&made[i], shared->kernels->pieces(made[i].op, turns[1], turns[2]), nk_after(turns, first)};
        }
        nk_rounds(pool, run_turn, rounds, count);
    }
}

int nk_net(nk_pool *pool, int isa, const nk_node *nodes, const nk_place *places, int count, const int32_t *turns, int all) {
    nk_turns shared = {.kernels = nk_all[isa]};
    size_t rings = 0;
    for (int i = 0; i < count; i++) rings += net_floats(&places[i]);
    for (int i = 0; i < all; i++) {
        const size_t need = (shared.kernels->scratch(nodes[turns[NK_TURN * i]].op) + 127) / 64 * 64;
        if (need > shared.scratch_size) shared.scratch_size = need;
    }
    const size_t table = (sizeof(nk_map) * (size_t)count + 127) / 64 * 64;
    char *memory = nk_pool_memory(pool, table + sizeof(float) * rings + shared.scratch_size * (size_t)nk_pool_threads(pool));
    if (!memory) return -1;
    nk_map *maps = (nk_map *)(void *)memory;
    float *ring = (float *)(void *)(memory + table);
    for (int i = 0; i < count; i++) {
        const nk_place *place = &places[i];
        maps[i] = (nk_map){place->memory ? place->memory : ring, net_pitch(place), place->ring, place->channels, 0, place->narrow};
        ring += net_floats(place);
    }
    shared.scratch = (char *)ring;
    run_net(pool, &shared, nodes, maps, turns, all);
    return 0;
}
