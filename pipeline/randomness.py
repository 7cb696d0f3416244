"""Counter-based randomness: every random number is a pure function of (seed, purpose, index).

Nothing here has a state that depends on history. A latent, a crop or a noise image is drawn from the name of what it
is for and the index of the sample it belongs to, so that a resumed run draws what the uninterrupted one would have
drawn, and 1, 2 or 4 processes draw the same numbers for the same samples, on any device.

The bits come from Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", table 2), computed
for a whole batch at once with 64-bit integer tensors. Integers are equal on every device; `normal` is equal up to the
rounding of log, sqrt, sin and cos.

Shapes: N samples, each with its own index; `shape` is what is drawn for each of them.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import torch
from torch import Tensor

_MASK = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10


def philox(counter: tuple[Tensor, Tensor, Tensor, Tensor], key: int | Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Philox4x32-10 of four broadcastable int64 tensors that hold 32-bit words.

    Args:
        counter: four tensors with values in [0, 2**32).
        key: 64 bits, the low word first; or those two words as a tensor, (2,) int64, on the device of the others.

    Returns:
        Four int64 tensors with values in [0, 2**32).
    """
    c0, c1, c2, c3 = counter
    k0, k1 = (key[0], key[1]) if isinstance(key, Tensor) else _words(key)
    for _ in range(_ROUNDS):
        # int64 products wrap modulo 2**64, which keeps all the bits; the mask undoes the sign of the shift.
        p0, p1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1, c2, c3 = (
            ((p1 >> 32) & _MASK) ^ c1 ^ k0,
            p1 & _MASK,
            ((p0 >> 32) & _MASK) ^ c3 ^ k1,
            p0 & _MASK,
        )
        k0, k1 = (k0 + _WEYL[0]) & _MASK, (k1 + _WEYL[1]) & _MASK
    return c0, c1, c2, c3


def _words(key: int) -> tuple[int, int]:
    return key & _MASK, (key >> 32) & _MASK


@dataclass(frozen=True)
class Key:
    """The name of a stream of random numbers: 64 bits that stand for a path such as (seed, "latents").

    `child` is the only way to get another stream from one; streams with different paths are independent.
    """

    bits: int

    @classmethod
    def from_seed(cls, seed: int) -> Key:
        """The root of all the randomness of a run."""
        return cls(0).child(int(seed))

    def child(self, *path: str | int) -> Key:
        """The stream at `path` below this one. `1` and `"1"` are different names."""
        digest = hashlib.blake2b(repr((self.bits, *path)).encode(), digest_size=8).digest()
        return Key(int.from_bytes(digest, "little"))

    def words(self) -> Tensor:
        """(2,) int64: the bits as two words of 32, the low one first."""
        return torch.tensor(_words(self.bits))

    def at(self, indices: Tensor, first: int = 0) -> Draws:
        """The numbers of this stream that belong to samples `indices` (N,) of any integer type, on their device.

        Args:
            indices: which.
            first: the number of the sample of index 0, where the stream is of a part of many: `Draws.indices` count
                from it, and what is drawn does not depend on it.
        """
        return Draws(self, indices.to(torch.int64), first)


@dataclass(frozen=True)
class TensorKey:
    """The key of one name as a tensor: code that is compiled with it need not be compiled again for another key.

    Attributes:
        bits: (2,) int64, `Key.words` of the name's key.
        name: what is drawn with it.
    """

    bits: Tensor
    name: str

    def child(self, name: str) -> TensorKey:
        """Itself, for its own name; ValueError for any other."""
        if name != self.name:
            raise ValueError(f"this key is of {self.name!r} alone, not of {name!r}")
        return self

    def words(self) -> Tensor:
        """The bits."""
        return self.bits


@dataclass(frozen=True)
class Draws:
    """Random numbers for N samples. The same name gives the same numbers each time; draw each thing under its own.

    Attributes:
        key: the stream.
        counters: (N,) int64, the samples' places in it.
        first: the number of the sample at place 0.
    """

    key: Key | TensorKey
    counters: Tensor
    first: int = 0

    @property
    def indices(self) -> Tensor:
        """(N,) int64, the samples' numbers."""
        return self.counters + self.first

    def __len__(self) -> int:
        return len(self.counters)

    def __getitem__(self, item: slice | Tensor) -> Draws:
        """The draws of some of the samples."""
        return Draws(self.key, self.counters[item], self.first)

    def bits(self, name: str, *shape: int) -> Tensor:
        """Uniform integers in [0, 2**32), (N, *shape) int64."""
        size = math.prod(shape)
        blocks = torch.arange((size + 3) // 4, device=self.counters.device)[None]
        index = self.counters[:, None]
        words = philox(
            (index & _MASK, (index >> 32) & _MASK, blocks, torch.zeros_like(blocks)), self.key.child(name).bits
        )
        return torch.stack(words, dim=-1).flatten(1)[:, :size].reshape(len(self), *shape)

    def uniform(self, name: str, *shape: int) -> Tensor:
        """Uniform in [0, 1), (N, *shape) float32: 24 bits, all that a float32 holds without rounding up to 1."""
        return (self.bits(name, *shape) >> 8).float() * 2.0**-24

    def normal(self, name: str, *shape: int) -> Tensor:
        """Standard normal, (N, *shape) float32, by the transform of Box and Muller (1958)."""
        size = math.prod(shape)
        bits = self.bits(name, 2, (size + 1) // 2)
        radius = (-2 * torch.log((bits[:, 0].double() + 0.5) * 2.0**-32)).sqrt()
        angle = bits[:, 1].double() * (2 * math.pi * 2.0**-32)
        pairs = torch.stack((radius * angle.cos(), radius * angle.sin()), dim=-1)
        return pairs.flatten(1)[:, :size].reshape(len(self), *shape).float()

    def integers(self, name: str, high: int, *shape: int) -> Tensor:
        """Uniform integers in [0, high), (N, *shape) int64; `high` at most 2**31 (the bias is below high / 2**32)."""
        return (self.bits(name, *shape) * high) >> 32
