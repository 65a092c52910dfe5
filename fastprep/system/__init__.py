"""Files, locks, threads, bytes and Arrow arrays: what the operating system and pyarrow provide.

Start-up: a new process has the encoding gpt2 after some 30 ms of CPU, so the modules that it loads
avoid imports that cost more than they save. All of fastprep follows the same few rules:

- ``TYPE_CHECKING = False`` is ``typing.TYPE_CHECKING`` to type checkers, without typing (10 ms).
- ``_thread.allocate_lock`` is ``threading.Lock``, ``_thread.start_new_thread`` starts a thread, both
  without threading (4 ms). ``__import__`` is used for importlib.
- :mod:`fastprep.system.cached` has ``cached_property`` without functools (3 ms).
- Values that are needed at start-up are classes with ``__slots__``, without dataclasses (20 ms).
- Paths are opened by ``os.path`` and ``open`` there, without pathlib (25 ms).
- Everything larger (numpy, msgspec, re, ...) is imported by the function that needs it.

``tests/unit/test_compiled_modules.py`` lists the modules that such a process must not load, and those
that preparing and verifying text files must not load.
"""
