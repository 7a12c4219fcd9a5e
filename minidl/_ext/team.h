/* A team of threads that claims the items of a job.

   The caller works too and returns when every item is done; it never waits for a
   thread that has not come, so a busy machine costs no more than the cores it takes.
   Who does which item is left to chance: an item must not care.

   One job at a time, its items in at most 65,535 chunks. `ticket` holds the job's number
   (bits 32..), how many chunks it has (16..31) and the next one to claim (0..15): a
   thread that reads a ticket with chunks left, reads the job and then claims one knows
   that it was that chunk's job. */
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

static struct {
  _Atomic uint64_t ticket;
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

#define TEAM_JOB(t) ((t) >> 32)
#define TEAM_CHUNKS(t) (((t) >> 16) & 0xffff)
#define TEAM_NEXT(t) ((t) & 0xffff)

/* Do chunks until none is left. */
static void team_help(int slot) {
  for (;;) {
    uint64_t t = atomic_load_explicit(&team.ticket, memory_order_acquire);
    if (TEAM_NEXT(t) >= TEAM_CHUNKS(t)) return;
    if (slot >= atomic_load_explicit(&team.limit, memory_order_relaxed)) return;
    team_work work = team.work;
    void *what = team.what;
    Py_ssize_t items = team.items, chunk = team.chunk;
    if (!atomic_compare_exchange_weak_explicit(&team.ticket, &t, t + 1,
                                               memory_order_acq_rel, memory_order_relaxed))
      continue;
    Py_ssize_t item = (Py_ssize_t)TEAM_NEXT(t) * chunk;
    Py_ssize_t stop = item + chunk < items ? item + chunk : items;
    for (; item < stop; item++) work(what, item, slot);
    atomic_fetch_add_explicit(&team.done, 1, memory_order_release);
  }
}

static void *team_member(void *slot) {
  for (;;) {
    uint64_t seen = atomic_load_explicit(&team.ticket, memory_order_acquire);
    team_help((int)(intptr_t)slot);
    int spins = 0;
    while (atomic_load_explicit(&team.ticket, memory_order_acquire) >> 32 == TEAM_JOB(seen)) {
      if (++spins < TEAM_SPINS) {
        team_pause();
        continue;
      }
      uint32_t bell = atomic_load(&team.bell);
      atomic_fetch_add(&team.sleepers, 1);
      if (atomic_load(&team.ticket) >> 32 == TEAM_JOB(seen)) team_sleep(bell);
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
  atomic_store(&team.ticket, TEAM_JOB(atomic_load(&team.ticket)) << 32); /* no chunks */
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
  uint64_t job = TEAM_JOB(atomic_load(&team.ticket)) + 1;
  atomic_store(&team.ticket, job << 32 | (uint64_t)chunks << 16);
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
