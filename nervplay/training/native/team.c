/* Who computes: PyTorch's own threads where these are OpenMP's, else those of `pool.c`. A team looks for its next work for
   milliseconds before it sleeps; two of them would take the cores from each other all through a step. */
#include "train.h"

#include <stdatomic.h>

#define PARTS 64 /* most threads; each begins with a part of its own, the same in every call: what it wrote is near it */

typedef struct {
    _Alignas(64) atomic_int next;
} team_part;

typedef struct {
    nk_task task;
    void *context;
    int items, count;
    team_part parts[PARTS];
} team_round;

static nt_fork *fork_team;
static nt_number *number_in_team;
static int team_threads;

void nt_team(nt_fork *fork, nt_number *number, int threads) {
    fork_team = fork, number_in_team = number, team_threads = threads < PARTS ? threads : PARTS;
}

static int part_start(const team_round *round, int part) { return (int)((int64_t)round->items * part / round->count); }

int nt_threads(const nk_pool *pool) { return fork_team ? team_threads : nk_pool_threads(pool); }

/* A thread that is done with its part helps with the next ones. */
static void share(void *context) {
    team_round *round = context;
    const int worker = number_in_team();
    for (int k = 0; k < round->count; k++) {
        const int part = (worker + k) % round->count, end = part_start(round, part + 1);
        for (int item; (item = atomic_fetch_add(&round->parts[part].next, 1)) < end;) round->task(round->context, item, worker);
    }
}

void nt_parallel(nk_pool *pool, nk_task task, void *context, int items) {
    if (!fork_team || team_threads == 1 || items <= 1) {
        nk_parallel(pool, task, context, items);
        return;
    }
    team_round round;
    round.task = task, round.context = context, round.items = items;
    round.count = team_threads < items ? team_threads : items;
    for (int part = 0; part < round.count; part++) round.parts[part].next = part_start(&round, part);
    fork_team(share, &round, (unsigned)round.count, 0);
}
