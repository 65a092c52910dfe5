"""Files, locks, threads and bytes: what the operating system gives, in one place."""
