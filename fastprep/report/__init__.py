"""Reports: one HTML page about a store."""
