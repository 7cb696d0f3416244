"""Which options mean something in which regimes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from ..options.types import flag


def concerns(f: dataclasses.Field, regimes: Iterable[str]) -> bool:
    """Whether an option means something in any of these regimes."""
    wanted = f.metadata["option"].concerns
    return not wanted or any(regime in wanted for regime in regimes)


def meaningless(f: dataclasses.Field, value: Any, regimes: list[str]) -> str:
    """What to say of an option, as it was given, that means nothing in these regimes."""
    given = flag(f"no_{f.name}" if value is False else f.name)
    wanted = " and ".join(f.metadata["option"].concerns)
    return (
        f"{given} means nothing in the regime {' or '.join(regimes)}; it is for {wanted}. Leave it out, or "
        "train in such a regime"
    )
