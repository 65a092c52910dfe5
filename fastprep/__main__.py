"""``python -m fastprep`` is the ``fastprep`` command."""

from fastprep.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
