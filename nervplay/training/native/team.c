/* Who computes: PyTorch's own threads where these are OpenMP's, else those of `pool.c`. A team looks for its next work for
   milliseconds before it sleeps; two of them would take the cores from each other all through a step. */
#include "train.h"

#include <stdatomic.h>

typedef struct {
    nk_task task;
    void *context;
    int items;
    atomic_int next, workers;
} team_round;

static nt_fork *fork_team;
static int team_threads;

void nt_team(nt_fork *fork, int threads) { fork_team = fork, team_threads = threads; }

int nt_threads(const nk_pool *pool) { return fork_team ? team_threads : nk_pool_threads(pool); }

static void share(void *context) {
    team_round *round = context;
    const int worker = atomic_fetch_add(&round->workers, 1);
    for (int item; (item = atomic_fetch_add(&round->next, 1)) < round->items;) round->task(round->context, item, worker);
}

void nt_parallel(nk_pool *pool, nk_task task, void *context, int items) {
    if (!fork_team || team_threads == 1 || items <= 1) {
        nk_parallel(pool, task, context, items);
        return;
    }
    team_round round = {.task = task, .context = context, .items = items};
    fork_team(share, &round, (unsigned)(team_threads < items ? team_threads : items), 0);
}
