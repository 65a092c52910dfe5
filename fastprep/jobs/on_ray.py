"""Tasks on the machines of a Ray cluster: ``pip install 'fastprep[ray]'``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastprep.corpus.plan import Task
from fastprep.errors import FastprepError
from fastprep.jobs.journal import Done
from fastprep.jobs.task import Work, run_task
from fastprep.jobs.workers import TICK_SECONDS, Tick


def run_on_ray(
    work: Work, tasks: dict[int, Task], workers: int | None, tick: Tick
) -> Iterator[tuple[int, Done]]:
    """Do some tasks in a Ray cluster; they come in the order in which they end.

    The cluster is the one that this process is connected to, or that ``RAY_ADDRESS`` names; else one
    is started on this machine, and ended again. Ray gives the task of a machine that died to another
    one; what that had finished is not done again.

    Raises
    ------
    FastprepError
        when Ray is not installed, or when it gave a task up.
    """
    try:
        import ray
    except ImportError:
        raise FastprepError("ray is not installed; pip install 'fastprep[ray]'") from None
    begun = not ray.is_initialized()
    if begun:
        ray.init(log_to_driver=False, include_dashboard=False)
    try:
        yield from _results(ray, work, tasks, workers, tick)
    finally:
        if begun:
            ray.shutdown()


def _results(
    ray: Any, work: Work, tasks: dict[int, Task], workers: int | None, tick: Tick
) -> Iterator[tuple[int, Done]]:
    remote = ray.remote(num_cpus=1, max_retries=3)(_run_remotely)
    most = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
    shared = ray.put(work)  # travels to each machine once
    left = iter(tasks.items())
    running: dict[Any, int] = {}
    try:
        while True:
            while len(running) < most and (following := next(left, None)) is not None:
                index, task = following
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
        # The error that the task raised, as if it had been raised here.
        raise error.cause from None
    except ray.exceptions.RayError as error:
        raise FastprepError(
            f"Ray gave a task up: {error}; run the same command again: it goes on from the shards "
            "that are finished"
        ) from None
    return done


def _run_remotely(work: Work, index: int, task: Task, directory: str) -> Done:
    os.chdir(directory)  # paths may be relative to it
    return run_task(work, index, task)
