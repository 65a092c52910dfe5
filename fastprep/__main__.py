"""``python -m fastprep`` is the ``fastprep`` command."""

from fastprep.cli import command

if __name__ == "__main__":
    raise SystemExit(command())
