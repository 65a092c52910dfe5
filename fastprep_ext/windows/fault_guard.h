/* Reading a page of a mapped file raises SIGBUS if the file was truncated or its disk failed. The
 * guard turns the signal into a return value.
 *
 * It catches faults only of a thread that is inside `guarded`; every other fault goes to the
 * previous handler, or kills the process as without the guard. Code that runs guarded must not hold
 * locks, memory or Python objects, since it may be left by a jump.
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
        sigaction(number, &guard_before, NULL); /* the access is repeated, and kills the process */
    } else {
        guard_before.sa_handler(number);
    }
}

/* Called with the GIL whenever a loader is opened: another handler may have been installed. */
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

/* Return body(context, job), or FAULTED. */
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
