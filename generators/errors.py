"""Errors of generators that are the caller's to mend. Importable without torch."""


class OptionError(ValueError):
    """An option that a generator or its trainer does not take, or not with that value."""
