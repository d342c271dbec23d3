/* A pool of threads that share numbered items of work. Rules: one call at a time uses a pool; the caller works, too;
   items are taken by whoever is free, so which thread computes an item is open and must not matter. Two threads begin at
   the ends of a run of items of their own, and help others when they have met: threads then mostly find in their own cache
   what they wrote in the round before, which is worth a third of the time where cores share no cache. A call waits for
   items, not for threads: one that the system has not woken yet, because others need its core, holds up nothing. In a
   forked process the threads are not there: who calls does all items, and nobody waits for a thread's end.

   A call is some rounds. Threads that find no more items in a round take those of the next; who holds an item waits until
   the rounds that it needs are finished. Nobody waits for what waits in turn: items are taken in the order of rounds, so
   whoever holds one of the first round that is not finished works. */
#include "nk.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

/* How often a thread looks for new work before it sleeps: some tens of microseconds. */
#define SPINS 4000

/* Items that nobody has taken, in a line of the cache of its own. */
typedef struct {
    _Alignas(64) atomic_ullong ends; /* the first one, and in the upper half the one behind the last */
} nk_run;

/* A round of the call. Its runs are written last: whoever takes an item from them finds all of it. */
typedef struct {
    void *context;
    int after;         /* rounds that are finished before */
    atomic_int undone; /* items that are not finished */
} nk_state;

struct nk_pool {
    int threads;
    pid_t owner; /* the process that has the threads */
    pthread_t *handles;
    pthread_mutex_t lock;
    pthread_cond_t wake, moved;
    nk_task task;
    nk_state states[NK_ROUNDS];
    nk_run *runs; /* of each round one for two threads */
    atomic_int count;
    atomic_uint call; /* changes when there is work */
    atomic_int stop, waiting; /* whether the threads are to end; how many wait for rounds to be finished, asleep */
    _Alignas(64) atomic_ullong finished; /* rounds before the first that is not, and in the upper half the call's number: who
                                            comes late from one call must not count in another */
    void *memory;
    size_t size;
};

typedef struct {
    nk_pool *pool;
    int worker;
} nk_seat;

static inline void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static int pairs(const nk_pool *pool) { return (pool->threads + 1) / 2; }

/* Wait until the first `rounds` rounds of the call are finished. */
static void await(nk_pool *pool, int rounds) {
    for (int spin = 0; spin < SPINS && (int)(uint32_t)atomic_load(&pool->finished) < rounds; spin++) relax();
    if ((int)(uint32_t)atomic_load(&pool->finished) >= rounds) return;
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->waiting, 1); /* before it looks again, as `finish` counts before it looks here */
    while ((int)(uint32_t)atomic_load(&pool->finished) < rounds) pthread_cond_wait(&pool->moved, &pool->lock);
    atomic_fetch_sub(&pool->waiting, 1);
    pthread_mutex_unlock(&pool->lock);
}

/* Count an item of a round as finished, and with the last one the round and those behind it that waited for that only. */
static void finish(nk_pool *pool, nk_state *state) {
    if (atomic_fetch_sub(&state->undone, 1) != 1) return;
    unsigned long long at = atomic_load(&pool->finished);
    while ((int)(uint32_t)at < atomic_load(&pool->count) && !atomic_load(&pool->states[(uint32_t)at].undone))
        if (atomic_compare_exchange_weak(&pool->finished, &at, at + 1)) at++;
    if (!atomic_load(&pool->waiting)) return;
    pthread_mutex_lock(&pool->lock);
    pthread_cond_broadcast(&pool->moved);
    pthread_mutex_unlock(&pool->lock);
}

/* Take items of a run until there are none. */
static void work_on(nk_pool *pool, int worker, nk_state *state, atomic_ullong *run) {
    const int behind = worker & 1;
    for (unsigned long long ends = atomic_load(run); (uint32_t)ends < ends >> 32;) {
        const unsigned long long taken = behind ? ends - (1ull << 32) : ends + 1;
        if (!atomic_compare_exchange_weak(run, &ends, taken)) continue;
        await(pool, state->after);
        pool->task(state->context, behind ? (int)(taken >> 32) : (int)(uint32_t)ends, worker);
        finish(pool, state);
        ends = atomic_load(run);
    }
}

/* Take items until there are none. A thread that is late for its call may take some of the next: they are as good. */
static void work(nk_pool *pool, int worker) {
    const int runs = pairs(pool);
    for (int round = 0; round < atomic_load(&pool->count); round++)
        for (int i = 0; i < runs; i++)
            work_on(pool, worker, &pool->states[round], &pool->runs[round * runs + (worker / 2 + i) % runs].ends);
}

static void *serve(void *argument) {
    nk_seat seat = *(nk_seat *)argument;
    nk_pool *pool = seat.pool;
    free(argument);
    unsigned seen = 0;
    for (;;) {
        for (int spin = 0; spin < SPINS && atomic_load(&pool->call) == seen; spin++) relax();
        if (atomic_load(&pool->call) == seen) {
            pthread_mutex_lock(&pool->lock);
            while (atomic_load(&pool->call) == seen) pthread_cond_wait(&pool->wake, &pool->lock);
            pthread_mutex_unlock(&pool->lock);
        }
        seen = atomic_load(&pool->call);
        if (atomic_load(&pool->stop)) return NULL;
        work(pool, seat.worker);
    }
}

static void begin(nk_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->call, 1);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
}

nk_pool *nk_pool_new(int threads) {
    void *made = NULL, *runs = NULL;
    if (posix_memalign(&made, 64, sizeof(nk_pool))) return NULL;
    nk_pool *pool = memset(made, 0, sizeof *pool);
    pool->handles = calloc((size_t)threads, sizeof *pool->handles);
    const size_t size = (size_t)NK_ROUNDS * (size_t)((threads + 1) / 2) * sizeof *pool->runs;
    if (!pool->handles || posix_memalign(&runs, sizeof *pool->runs, size)) {
        free(pool->handles);
        free(pool);
        return NULL;
    }
    pool->runs = runs;
    memset(runs, 0, size);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->moved, NULL);
    pool->threads = 1, pool->owner = getpid();
    for (int i = 1; i < threads; i++) { /* fewer threads than asked for are no failure */
        nk_seat *seat = malloc(sizeof *seat);
        if (!seat) break;
        *seat = (nk_seat){pool, i};
        if (pthread_create(&pool->handles[i], NULL, serve, seat)) {
            free(seat);
            break;
        }
        pool->threads = i + 1;
    }
    return pool;
}

void nk_pool_free(nk_pool *pool) {
    if (!pool) return;
    if (getpid() == pool->owner) {
        atomic_store(&pool->stop, 1);
        begin(pool);
        for (int i = 1; i < pool->threads; i++) pthread_join(pool->handles[i], NULL);
        pthread_mutex_destroy(&pool->lock);
        pthread_cond_destroy(&pool->wake);
        pthread_cond_destroy(&pool->moved); /* waits for sleepers, which a forked process has on paper only */
    }
    free(pool->handles);
    free(pool->runs);
    free(pool->memory);
    free(pool);
}

/* Rows of a map are far from each other: with pages of 4 KiB each would need a translation of its own. */
#define HUGE_PAGE ((size_t)2 << 20)

void *nk_pool_memory(nk_pool *pool, size_t size) {
    if (size > pool->size) {
        const size_t whole = size < HUGE_PAGE ? size : (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
        free(pool->memory);
        pool->size = posix_memalign(&pool->memory, size < HUGE_PAGE ? 4096 : HUGE_PAGE, whole) ? 0 : whole;
        if (!pool->size) pool->memory = NULL;
#if defined(__linux__)
        else if (whole >= HUGE_PAGE) madvise(pool->memory, whole, MADV_HUGEPAGE); /* in vain where there are none */
#endif
    }
    return pool->memory;
}

int nk_pool_threads(const nk_pool *pool) { return pool->threads; }

/* Share the items of a round out to its runs: as many to each as it has threads. */
static void share_out(nk_pool *pool, int round, int items) {
    for (int first = 0; first < pool->threads; first += 2) {
        const int last = first + 2 < pool->threads ? first + 2 : pool->threads;
        const unsigned long long begins = (unsigned long long)items * (unsigned)first / (unsigned)pool->threads;
        const unsigned long long ends = (unsigned long long)items * (unsigned)last / (unsigned)pool->threads;
        atomic_store(&pool->runs[round * pairs(pool) + first / 2].ends, ends << 32 | begins);
    }
}

void nk_rounds(nk_pool *pool, nk_task task, const nk_round *rounds, int count) {
    const int alone = count == 1 && rounds->items <= 1;
    if (pool->threads == 1 || alone || getpid() != pool->owner) {
        for (int round = 0; round < count; round++)
            for (int item = 0; item < rounds[round].items; item++) task(rounds[round].context, item, 0);
        return;
    }
    pool->task = task;
    int empty = 0; /* rounds at the beginning that have no items: nobody will count them */
    while (empty < count && !rounds[empty].items) empty++;
    for (int round = 0; round < count; round++) {
        pool->states[round].context = rounds[round].context, pool->states[round].after = rounds[round].after;
        atomic_store(&pool->states[round].undone, rounds[round].items);
    }
    atomic_store(&pool->count, count);
    atomic_store(&pool->finished, ((atomic_load(&pool->finished) >> 32) + 1) << 32 | (unsigned)empty);
    for (int round = 0; round < count; round++) share_out(pool, round, rounds[round].items);
    begin(pool);
    work(pool, 0);
    await(pool, count);
}

void nk_parallel(nk_pool *pool, nk_task task, void *context, int items) {
    const nk_round round = {context, items, 0};
    nk_rounds(pool, task, &round, 1);
}
