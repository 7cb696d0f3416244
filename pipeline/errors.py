"""Errors that a user can mend: each says what was wrong, with which value, and what to do.

They are plain `ValueError`s, so that code which uses the library need not know them. The command line turns
`UsageError` into exit code 2 and everything else into exit code 1.
"""


class UsageError(ValueError):
    """Options that cannot be used together, or a value that an option does not take."""


class RunStopped(RuntimeError):
    """A run that ended before its last step, for a reason that its message tells."""


class DataError(ValueError):
    """Images, shards or checkpoints on disk that cannot be used as they are."""
