"""Reports: one HTML page that shows what a token store holds."""
