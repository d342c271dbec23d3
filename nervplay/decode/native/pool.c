/* A pool of threads that share numbered items of work. Rules: one call at a time uses a pool; the caller works, too;
   items are taken by whoever is free, so which thread computes an item is open and must not matter. Two threads begin at
   the ends of a run of items of their own, and help others when they have met: threads then mostly find in their own cache
   what they wrote in the call before, which is worth a third of the time where cores share no cache. A call waits for
   items, not for threads: one that the system has not woken yet, because others need its core, holds up nothing. In a
   forked process the threads are not there: who calls does all items, and nobody waits for a thread's end. */
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

struct nk_pool {
    int threads;
    pid_t owner; /* the process that has the threads */
    pthread_t *handles;
    pthread_mutex_t lock;
    pthread_cond_t wake, idle;
    nk_task task;
    void *context;
    nk_run *runs;      /* one for two threads; what lies above is written before them, and stays while there are items */
    atomic_int undone; /* items that are not finished */
    atomic_uint round; /* changes when there is work */
    atomic_int stop;
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

/* Take items of a run until there are none. */
static void work_on(nk_pool *pool, int worker, atomic_ullong *run) {
    const int behind = worker & 1;
    for (unsigned long long ends = atomic_load(run); (uint32_t)ends < ends >> 32;) {
        const unsigned long long taken = behind ? ends - (1ull << 32) : ends + 1;
        if (!atomic_compare_exchange_weak(run, &ends, taken)) continue;
        pool->task(pool->context, behind ? (int)(taken >> 32) : (int)(uint32_t)ends, worker);
        if (atomic_fetch_sub(&pool->undone, 1) == 1) {
            pthread_mutex_lock(&pool->lock);
            pthread_cond_signal(&pool->idle);
            pthread_mutex_unlock(&pool->lock);
        }
        ends = atomic_load(run);
    }
}

/* Take items until there are none. A thread that is late for its round may take one of the next: it is as good. */
static void work(nk_pool *pool, int worker) {
    const int runs = (pool->threads + 1) / 2;
    for (int i = 0; i < runs; i++) work_on(pool, worker, &pool->runs[(worker / 2 + i) % runs].ends);
}

static void *serve(void *argument) {
    nk_seat seat = *(nk_seat *)argument;
    nk_pool *pool = seat.pool;
    free(argument);
    unsigned seen = 0;
    for (;;) {
        for (int spin = 0; spin < SPINS && atomic_load(&pool->round) == seen; spin++) relax();
        if (atomic_load(&pool->round) == seen) {
            pthread_mutex_lock(&pool->lock);
            while (atomic_load(&pool->round) == seen) pthread_cond_wait(&pool->wake, &pool->lock);
            pthread_mutex_unlock(&pool->lock);
        }
        seen = atomic_load(&pool->round);
        if (atomic_load(&pool->stop)) return NULL;
        work(pool, seat.worker);
    }
}

static void begin_round(nk_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->round, 1);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
}

nk_pool *nk_pool_new(int threads) {
    nk_pool *pool = calloc(1, sizeof *pool);
    if (!pool) return NULL;
    void *runs = NULL;
    pool->handles = calloc((size_t)threads, sizeof *pool->handles);
    if (!pool->handles || posix_memalign(&runs, sizeof *pool->runs, (size_t)(threads + 1) / 2 * sizeof *pool->runs)) {
        free(pool->handles);
        free(pool);
        return NULL;
    }
    pool->runs = runs;
    memset(runs, 0, (size_t)(threads + 1) / 2 * sizeof *pool->runs);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->idle, NULL);
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
        begin_round(pool);
        for (int i = 1; i < pool->threads; i++) pthread_join(pool->handles[i], NULL);
        pthread_mutex_destroy(&pool->lock);
        pthread_cond_destroy(&pool->wake);
        pthread_cond_destroy(&pool->idle); /* waits for sleepers, which a forked process has on paper only */
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

void nk_parallel(nk_pool *pool, nk_task task, void *context, int items) {
    if (pool->threads == 1 || items <= 1 || getpid() != pool->owner) {
        for (int item = 0; item < items; item++) task(context, item, 0);
        return;
    }
    pool->task = task, pool->context = context;
    atomic_store(&pool->undone, items);
    for (int first = 0; first < pool->threads; first += 2) { /* as many items as the run has threads */
        const int last = first + 2 < pool->threads ? first + 2 : pool->threads;
        const unsigned long long begin = (unsigned long long)items * (unsigned)first / (unsigned)pool->threads;
        const unsigned long long end = (unsigned long long)items * (unsigned)last / (unsigned)pool->threads;
        atomic_store(&pool->runs[first / 2].ends, end << 32 | begin);
    }
    begin_round(pool);
    work(pool, 0);
    for (int spin = 0; spin < SPINS && atomic_load(&pool->undone); spin++) relax();
    if (atomic_load(&pool->undone)) {
        pthread_mutex_lock(&pool->lock);
        while (atomic_load(&pool->undone)) pthread_cond_wait(&pool->idle, &pool->lock);
        pthread_mutex_unlock(&pool->lock);
    }
}
