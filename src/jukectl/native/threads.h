/* A team of threads that works on one function together, as step.c needs it: started once, parked between calls.
 *
 * Threads wait for each other at barriers, several in each layer. They spin for some microseconds, since the others
 * usually arrive at once, and then sleep, so that a machine with other work to do slows down and does not stall.
 *
 * - Of two calls at the same time, from two threads of Python, the first gets the team; the other works alone.
 * - After a fork the child starts a team of its own, since threads do not survive a fork.
 * - Members block all signals: the program's own threads handle them.
 * - Members are detached, and the end of the process ends them wherever they are.
 */
#pragma once

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

#define MOST_THREADS 64
#define SPINS 1000 /* of a wait, before it sleeps: 50 microseconds or less */

typedef struct {
    int number, count; /* of this member, from 0; of all that work on the function */
} member;

typedef void (*team_work)(const member *who, void *what);

/* A number whose change members wait for, first spinning and then asleep. */
typedef struct {
    atomic_uint value;
    atomic_int asleep;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
} bell;

#define BELL {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER}

static struct {
    pthread_mutex_t taken; /* held by the call that has the team */
    int started;           /* members beside the caller */
    team_work work;
    void *what;
    bell jobs;          /* number of the job times MOST_THREADS * 2, and how many work on it: one value, read at once */
    bell meetings;      /* number of the last meeting */
    atomic_int arrived; /* at the next one */
} team = {.taken = PTHREAD_MUTEX_INITIALIZER, .jobs = BELL, .meetings = BELL};

static inline void pause_a_moment(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb"); /* longer than yield, which most processors ignore */
#endif
}

static void ring(bell *b, unsigned value) {
    atomic_store(&b->value, value);
    if (atomic_load(&b->asleep)) { /* whoever is about to sleep has said so, or will see the new value */
        pthread_mutex_lock(&b->mutex);
        pthread_cond_broadcast(&b->changed);
        pthread_mutex_unlock(&b->mutex);
    }
}

static unsigned await_change(bell *b, unsigned seen) {
    unsigned value;
    for (int i = 0; i < SPINS; i++) {
        if ((value = atomic_load(&b->value)) != seen) return value;
        pause_a_moment();
    }
    pthread_mutex_lock(&b->mutex);
    atomic_fetch_add(&b->asleep, 1);
    while ((value = atomic_load(&b->value)) == seen) pthread_cond_wait(&b->changed, &b->mutex);
    atomic_fetch_sub(&b->asleep, 1);
    pthread_mutex_unlock(&b->mutex);
    return value;
}

/* Wait until all members are here. What each wrote before is visible to all after it. */
static void meet(const member *who) {
    if (who->count == 1) return;
    const unsigned seen = atomic_load(&team.meetings.value);
    if (atomic_fetch_add(&team.arrived, 1) + 1 == who->count) {
        atomic_store(&team.arrived, 0);
        ring(&team.meetings, seen + 1);
    } else {
        await_change(&team.meetings, seen);
    }
}

/* A member's share of `total` things: from `*first` up to but not including `*stop`. */
static inline void share(const member *who, int total, int *first, int *stop) {
    *first = (int)((long long)total * who->number / who->count);
    *stop = (int)((long long)total * (who->number + 1) / who->count);
}

static struct {
    int number;
    unsigned seen; /* the last job before it was started */
} beginnings[MOST_THREADS];

static void *member_loop(void *beginning) {
    const int number = beginnings[(size_t)beginning].number;
    unsigned job = beginnings[(size_t)beginning].seen;
    for (;;) {
        job = await_change(&team.jobs, job);
        /* the job and its count are one value, since those that do not work on it may be a job late */
        const member who = {number, (int)(job % (2 * MOST_THREADS))};
        if (who.number >= who.count) continue;
        team.work(&who, team.what);
        meet(&who);
    }
    return NULL;
}

static void begin_anew(void) { /* in the child of a fork */
    pthread_mutex_init(&team.taken, NULL);
    team.started = 0;
    bell *both[] = {&team.jobs, &team.meetings};
    for (int i = 0; i < 2; i++) {
        pthread_mutex_init(&both[i]->mutex, NULL);
        pthread_cond_init(&both[i]->changed, NULL);
        atomic_store(&both[i]->asleep, 0);
    }
    atomic_store(&team.arrived, 0);
}

static void prepare_for_forks(void) { pthread_atfork(NULL, NULL, begin_anew); }

/* Start members until there are `wanted` beside the caller, or the system gives no more. They begin at the next job. */
static void start_members(int wanted) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, prepare_for_forks);
    if (team.started >= wanted) return;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    for (pthread_t thread; team.started < wanted; team.started++) {
        beginnings[team.started].number = team.started + 1;
        beginnings[team.started].seen = atomic_load(&team.jobs.value);
        if (pthread_create(&thread, &detached, member_loop, (void *)(size_t)team.started)) break;
    }
    pthread_attr_destroy(&detached);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Call `work` in up to `threads` threads, the caller's among them, and return when all have returned. */
static void work_together(int threads, team_work work, void *what) {
    member caller = {0, 1};
    if (threads < 2 || pthread_mutex_trylock(&team.taken)) {
        work(&caller, what);
        return;
    }
    start_members((threads < MOST_THREADS ? threads : MOST_THREADS) - 1);
    caller.count = team.started + 1 < threads ? team.started + 1 : threads;
    team.work = work, team.what = what;
    if (caller.count > 1) {
        const unsigned step = 2 * MOST_THREADS;
        ring(&team.jobs, (atomic_load(&team.jobs.value) / step + 1) * step + (unsigned)caller.count);
    }
    work(&caller, what);
    meet(&caller);
    pthread_mutex_unlock(&team.taken);
}
