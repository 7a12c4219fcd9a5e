/* A team of threads that claims the items of a job.

   The caller works too and returns when every item is done; it never waits for a
   thread that has not come, so a busy machine costs no more than the cores it takes.
   Who does which item is left to chance: an item must not care.

   Each thread has a run of its own of the items, and takes them in order; when it has
   done them, it takes those at the end of other runs. So from job to job a thread works
   on the same part of a batch, which lies in its caches: to fetch what another core has
   just written takes longer than most jobs have.

   One job at a time, its items in at most 65,535 chunks. A `run` holds the number of its
   job (bits 32..), where it ends (16..31) and the next chunk to claim (0..15): a thread
   that reads a run with chunks left, reads the job and then claims one knows that it was
   that chunk's job. */
#ifndef MINIDL_TEAM_H
#define MINIDL_TEAM_H
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#define TEAM_MOST 64
#define TEAM_SPINS 4000 /* about 50 us: as long as the steps of a small plan */

typedef void (*team_work)(void *what, Py_ssize_t item, int slot);

struct run { /* a cache line of its own */
  _Alignas(64) _Atomic uint64_t now;
};

static struct {
  struct run runs[TEAM_MOST];
  _Atomic uint32_t job;     /* the number of the latest */
  _Atomic int64_t done;     /* chunks */
  _Atomic uint32_t bell;    /* rung once a job, when someone sleeps */
  _Atomic int32_t sleepers;
  _Atomic int32_t limit;    /* threads that the job may have */
  team_work work;
  void *what;
  Py_ssize_t items, chunk;
  int threads;              /* that exist, the caller included */
  pthread_mutex_t one_job;
#if !defined(__linux__)
  pthread_mutex_t gate;
  pthread_cond_t ring;
#endif
} team = {.threads = 1, .one_job = PTHREAD_MUTEX_INITIALIZER
#if !defined(__linux__)
          , .gate = PTHREAD_MUTEX_INITIALIZER, .ring = PTHREAD_COND_INITIALIZER
#endif
};

static inline void team_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#else
  atomic_signal_fence(memory_order_seq_cst);
#endif
}

static void team_sleep(uint32_t bell) {
#if defined(__linux__)
  syscall(SYS_futex, &team.bell, FUTEX_WAIT_PRIVATE, bell, NULL, NULL, 0);
#else
  pthread_mutex_lock(&team.gate);
  while (atomic_load(&team.bell) == bell) pthread_cond_wait(&team.ring, &team.gate);
  pthread_mutex_unlock(&team.gate);
#endif
}

static void team_wake(void) {
#if defined(__linux__)
  atomic_fetch_add(&team.bell, 1);
  syscall(SYS_futex, &team.bell, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
#else
  pthread_mutex_lock(&team.gate);
  atomic_fetch_add(&team.bell, 1);
  pthread_cond_broadcast(&team.ring);
  pthread_mutex_unlock(&team.gate);
#endif
}

#define RUN(job, next, end) ((uint64_t)(job) << 32 | (uint64_t)(end) << 16 | (uint64_t)(next))
#define RUN_END(r) ((r) >> 16 & 0xffff)
#define RUN_NEXT(r) ((r) & 0xffff)

/* Do chunks of one run until none is left: the next of one's own, the last of others. */
static void team_take(struct run *run, int own, int slot) {
  for (;;) {
    uint64_t now = atomic_load_explicit(&run->now, memory_order_acquire);
    if (RUN_NEXT(now) >= RUN_END(now)) return;
    if (slot >= atomic_load_explicit(&team.limit, memory_order_relaxed)) return;
    team_work work = team.work;
    void *what = team.what;
    Py_ssize_t items = team.items, chunk = team.chunk;
    uint64_t after = own ? now + RUN(0, 1, 0) : now - RUN(0, 0, 1);
    if (!atomic_compare_exchange_weak_explicit(&run->now, &now, after,
                                               memory_order_acq_rel, memory_order_relaxed))
      continue;
    Py_ssize_t item = (Py_ssize_t)(own ? RUN_NEXT(now) : RUN_END(after)) * chunk;
    Py_ssize_t stop = item + chunk < items ? item + chunk : items;
    for (; item < stop; item++) work(what, item, slot);
    atomic_fetch_add_explicit(&team.done, 1, memory_order_release);
  }
}

/* Do what there is to do. */
static void team_help(int slot) {
  int threads = atomic_load_explicit(&team.limit, memory_order_relaxed);
  for (int i = 0; slot < threads && i < threads; i++)
    team_take(&team.runs[(slot + i) % threads], i == 0, slot);
}

static void *team_member(void *slot) {
  for (;;) {
    uint32_t seen = atomic_load_explicit(&team.job, memory_order_acquire);
    team_help((int)(intptr_t)slot);
    int spins = 0;
    while (atomic_load_explicit(&team.job, memory_order_acquire) == seen) {
      if (++spins < TEAM_SPINS) {
        team_pause();
        continue;
      }
      uint32_t bell = atomic_load(&team.bell);
      atomic_fetch_add(&team.sleepers, 1);
      if (atomic_load(&team.job) == seen) team_sleep(bell);
      atomic_fetch_sub(&team.sleepers, 1);
    }
  }
  return NULL;
}

/* Start threads until there are `threads`, the caller included. */
static void team_grow(int threads) {
  if (threads > TEAM_MOST) threads = TEAM_MOST;
  pthread_attr_t attr;
  pthread_attr_init(&attr);
  pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
  while (team.threads < threads) {
    pthread_t one;
    if (pthread_create(&one, &attr, team_member, (void *)(intptr_t)team.threads)) break;
    team.threads++;
  }
  pthread_attr_destroy(&attr);
}

/* After a fork only the caller is there. */
static void team_forked(void) {
  team.threads = 1;
  for (int i = 0; i < TEAM_MOST; i++) atomic_store(&team.runs[i].now, 0); /* no chunks */
  atomic_store(&team.sleepers, 0);
  pthread_mutex_init(&team.one_job, NULL);
#if !defined(__linux__)
  pthread_mutex_init(&team.gate, NULL);
  pthread_cond_init(&team.ring, NULL);
#endif
}

/* work(what, item, slot) for all items below `items`, by at most `threads` threads;
   slot tells the threads apart. */
static void team_run(team_work work, void *what, Py_ssize_t items, int threads) {
  if (threads > TEAM_MOST) threads = TEAM_MOST;
  if (threads > items) threads = (int)items;
  if (threads < 2 || pthread_mutex_trylock(&team.one_job)) {
    for (Py_ssize_t item = 0; item < items; item++) work(what, item, 0);
    return;
  }
  if (team.threads < threads) team_grow(threads);
  Py_ssize_t chunk = items / (16 * threads) + 1;
  Py_ssize_t chunks = (items + chunk - 1) / chunk;
  team.work = work;
  team.what = what;
  team.items = items;
  team.chunk = chunk;
  atomic_store_explicit(&team.limit, threads, memory_order_relaxed);
  atomic_store_explicit(&team.done, 0, memory_order_relaxed);
  uint32_t job = atomic_load(&team.job) + 1;
  for (int i = 0; i < threads; i++)
    atomic_store_explicit(
        &team.runs[i].now, RUN(job, chunks * i / threads, chunks * (i + 1) / threads),
        memory_order_release);
  atomic_store(&team.job, job);
  if (atomic_load(&team.sleepers)) team_wake();
  team_help(0);
  for (int spins = 0; atomic_load_explicit(&team.done, memory_order_acquire) < chunks;)
    if (++spins < TEAM_SPINS)
      team_pause();
    else
      sched_yield(); /* whoever holds the last chunk may need this core */
  pthread_mutex_unlock(&team.one_job);
}
#endif
