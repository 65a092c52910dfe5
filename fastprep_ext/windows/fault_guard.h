/* A page of a mapped file that cannot be read raises SIGBUS: the file was cut meanwhile, or its
 * disk failed. The guard turns the signal into a return value.
 *
 * Only a thread that is inside `guarded` is rescued; every other fault goes to the handler that
 * was there before, or kills the process as it always did. What runs guarded holds no lock, no
 * memory and no Python object, so that leaving it by a jump leaves nothing behind.
 */
#ifndef FASTPREP_FAULT_GUARD_H
#define FASTPREP_FAULT_GUARD_H

#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <stdint.h>

#define FAULTED INT64_MIN

static __thread sigjmp_buf *volatile guard_armed;
static struct sigaction guard_before;

static void guard_on_signal(int number, siginfo_t *info, void *context) {
    if (guard_armed) siglongjmp(*guard_armed, 1);
    if (guard_before.sa_flags & SA_SIGINFO) {
        guard_before.sa_sigaction(number, info, context);
    } else if (guard_before.sa_handler == SIG_DFL || guard_before.sa_handler == SIG_IGN) {
        sigaction(number, &guard_before, NULL); /* the access repeats, and dies of it */
    } else {
        guard_before.sa_handler(number);
    }
}

/* Called with the GIL, whenever a loader is opened: another handler may have come meanwhile. */
static void guard_install(void) {
    struct sigaction now, ours;
    if (sigaction(SIGBUS, NULL, &now)) return;
    if ((now.sa_flags & SA_SIGINFO) && now.sa_sigaction == guard_on_signal) return;
    guard_before = now;
    memset(&ours, 0, sizeof ours);
    ours.sa_sigaction = guard_on_signal;
    ours.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
    sigemptyset(&ours.sa_mask);
    sigaction(SIGBUS, &ours, NULL);
}

/* Returns body(context, job), or FAULTED. */
static int64_t guarded(int64_t (*body)(void *, void *), void *context, void *job) {
    sigjmp_buf here;
    int64_t status;
    if (sigsetjmp(here, 0)) {
        guard_armed = NULL;
        return FAULTED;
    }
    guard_armed = &here;
    status = body(context, job);
    guard_armed = NULL;
    return status;
}

#endif
