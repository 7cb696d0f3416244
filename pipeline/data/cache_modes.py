"""Where decoded images may stay: what `--cache` offers and `cached` takes. Imports neither torch nor NumPy."""

CACHE_MODES = ("auto", "device", "ram", "disk", "none")
"""`caching.cached` says what each does."""
