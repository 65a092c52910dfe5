"""``python -m fastprep`` is the ``fastprep`` command."""

from fastprep.cli.main import command

if __name__ == "__main__":
    raise SystemExit(command())
