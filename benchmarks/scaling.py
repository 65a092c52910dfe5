"""The tables of docs/scaling.md: how long 10 TB take, and how threads scale on one machine."""

from __future__ import annotations

from results_of import Results
from tables import table

TERABYTES = 10
CORES = 64


def hours(seconds: float) -> str:
    """Return a time in minutes, hours or days.

    >>> hours(90), hours(7200), hours(864000)
    ('1.5 min', '2.0 h', '10.0 days')
    """
    if seconds < 3600:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"


def scaling_lines(results: Results) -> list[str]:
    """Return the table; nothing if no rate was measured."""
    rows = []
    for name, result in results.by_corpus("prepare").items():
        for row in result["rows"]:
            # CPU time, which does not count what other processes did on the machine.
            size = result["corpus"]["bytes"] * result["copies"] / 1e6
            cpu = row["cpu_seconds"]
            rate = size / cpu["fastprep, 2 workers"]
            seconds = TERABYTES * 1e6 / rate
            verify = row["verify"]["cpu_seconds"] / row["verify"]["megabytes"]
            stored = row["verify"]["megabytes"] / size * TERABYTES
            rows.append(
                [
                    f"{name}, {row['encoding']}",
                    f"{rate:.0f}",
                    f"{cpu['fastprep, 1 worker'] / cpu['fastprep, 2 workers']:.2f}",
                    hours(seconds / CORES),
                    hours(seconds / CORES / 100),
                    f"{CORES * rate / 1e3:.1f}",
                    f"{stored:.1f}",
                    hours(stored * 1e6 * verify / CORES),
                ]
            )
    if not rows:
        return []
    head = ["", "MB/s per core", "1 worker / 2", "one node", "100 nodes"]
    head += ["GB/s read per node", "TB stored", "verified on one node"]
    return table(head, rows)[:-1]


def thread_lines(results: Results) -> list[str]:
    """Return the table of rates by number of threads; nothing if none was measured."""
    rows, head = [], [""]
    for name, result in results.by_corpus("threads").items():
        kinds: dict[str, list[str]] = {}
        for row in result["rows"]:
            cells = kinds.setdefault(row["input"], [f"{name}, {row['input']}"])
            cells.append(f"{row['mb_per_second']:.0f} ({row['times_one_thread']:.1f}x)")
        rows += kinds.values()
        head = ["", *dict.fromkeys(f"{row['threads']} threads" for row in result["rows"])]
    return table(head, rows)[:-1] if rows else []
