"""Import and export: token stores from and to the files of other programs."""
