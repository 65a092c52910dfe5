"""Jobs of `prepare`: inputs planned into tasks, run on threads, and sealed as a store."""
