"""The recipe of a shard set: what its samples are a function of, besides their index.

The recipe's hash is the set's identity. Its number of samples is no part of it: sample i does not depend on it, and a
set of 5,000 can be continued to 10,000. Versions of libraries are no part either, unless the generator puts them into
its own, as diffusion does: a set stays usable after an upgrade, and those that made it are noted
beside the recipe.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


def canonical_json(value: Any) -> str:
    """The one JSON text of a value: sorted names, no blanks, no NaN.

    Raises:
        TypeError, ValueError: a value that JSON has not.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True)


@dataclass(frozen=True)
class Recipe:
    """Names and plain values: strings, numbers, booleans, None, and lists and dicts of them.

    Raises:
        TypeError, ValueError: a value that JSON cannot hold exactly.
    """

    values: Mapping[str, Any]

    def __post_init__(self) -> None:
        # As it will be read back, so that a tuple and the list it becomes are one recipe.
        object.__setattr__(self, "values", json.loads(canonical_json(dict(self.values))))

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON, in hexadecimal."""
        return hashlib.sha256(canonical_json(self.values).encode()).hexdigest()

    def differences(self, other: Recipe) -> list[str]:
        """What differs, a line each: `seed: 0 there, 1 now` where this recipe is there and `other` is now."""
        there, now = _flatten(self.values), _flatten(other.values)
        return [
            f"{name}: {_shown(there, name)} there, {_shown(now, name)} now"
            for name in sorted({*there, *now})
            if (name in there, there.get(name)) != (name in now, now.get(name))
        ]


def _flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            flat |= _flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _shown(values: Mapping[str, Any], name: str) -> str:
    return json.dumps(values[name]) if name in values else "nothing"
