"""Tasks on a Ray cluster: ``pip install 'fastprep[ray]'``."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from fastprep.corpus.plan import Task
from fastprep.errors import FastprepError
from fastprep.jobs.calls import TICK_SECONDS, Tick
from fastprep.jobs.journal import Done
from fastprep.jobs.task import Work, run_task


def import_ray() -> Any:
    """Return the package ray. Raises FastprepError if it is not installed."""
    try:
        import ray
    except ImportError:
        raise FastprepError("ray is not installed; pip install 'fastprep[ray]'") from None
    return ray


def run_on_ray(
    work: Work, tasks: dict[int, Task], workers: int | None, tick: Tick
) -> Generator[tuple[int, Done]]:
    """Run tasks in a Ray cluster, and yield the index and result of each as it ends.

    The cluster is the one that this process is connected to, or that ``RAY_ADDRESS`` names; otherwise
    one is started on this machine, and shut down at the end. If a machine fails, Ray moves its tasks
    to others; finished shards are not made again. Raises FastprepError if Ray is not installed, or
    gives up on a task.
    """
    ray = import_ray()
    started = not ray.is_initialized()
    if started:
        ray.init(log_to_driver=False, include_dashboard=False)
    try:
        yield from _results(ray, work, tasks, workers, tick)
    finally:
        if started:
            ray.shutdown()


def _results(
    ray: Any, work: Work, tasks: dict[int, Task], workers: int | None, tick: Tick
) -> Iterator[tuple[int, Done]]:
    remote = ray.remote(num_cpus=1, max_retries=3)(_run_remotely)
    max_running = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
    shared = ray.put(work)  # sent to each machine once
    waiting = iter(tasks.items())
    running: dict[Any, int] = {}
    try:
        while True:
            while len(running) < max_running and (item := next(waiting, None)) is not None:
                index, task = item
                running[remote.remote(shared, index, task, str(Path.cwd()))] = index
            if not running:
                return
            ended, _ = ray.wait(list(running), num_returns=1, timeout=TICK_SECONDS)
            for reference in ended:
                yield running.pop(reference), _result(ray, reference)
            tick()
    finally:
        for reference in running:
            ray.cancel(reference)


def _result(ray: Any, reference: Any) -> Done:
    try:
        done: Done = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        # The task's own error, as if it had been raised here.
        raise error.cause from None
    except ray.exceptions.RayError as error:
        raise FastprepError(
            f"Ray gave up on a task: {error}; the same command resumes from the finished shards"
        ) from None
    return done


def _run_remotely(work: Work, index: int, task: Task, directory: str) -> Done:
    os.chdir(directory)  # paths may be relative to it
    return run_task(work, index, task)
