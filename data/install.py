"""Install packages with a line for each step: `make demo` runs it."""

from __future__ import annotations

import re
import subprocess
import sys

PIP = [sys.executable, "-u", "-m", "pip", "install", "--no-input", "--progress-bar", "off"]
# Lines of pip that begin a step, and what is shown of them.
STEPS = [
    (re.compile(r"Collecting (?P<name>[\w.-]+)"), "{name}"),
    (re.compile(r"Processing \S*/(?P<name>[\w.]+)-\d\S*\.whl"), "{name}"),
    (re.compile(r"\s+Downloading .*?(?P<name>[\w.]+)-\d.* (?P<size>\([\d.]+ [MG]B\))"),
     "   downloading {name} {size}"),
    (re.compile(r"\s+Building editable for (?P<name>\S+) .*started"), "compiling {name}"),
    (re.compile(r"Installing collected packages"), "installing"),
]  # fmt: skip


def step_of(line: str) -> str | None:
    """Return what to show of a line of pip, or None."""
    for pattern, shown in STEPS:
        match = pattern.match(line)
        if match:
            return shown.format(**match.groupdict())
    return None


def main() -> None:
    """Run pip; if it fails, print all that it said."""
    command = [*PIP, "--disable-pip-version-check", *sys.argv[1:]]
    lines = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as pip:
        assert pip.stdout is not None
        for line in pip.stdout:
            lines.append(line)
            step = step_of(line)
            if step:
                print(f"   {step}", flush=True)
    if pip.returncode:
        sys.exit("".join(lines))


if __name__ == "__main__":
    main()
