"""Counter-based randomness: the bits are Philox's, the numbers have their distributions, and nothing has a history."""

import pytest
import torch

from synthcl.pipeline.randomness import Draws, Key, TensorKey, philox

MASK = 0xFFFFFFFF


def words(*values: int) -> tuple[torch.Tensor, ...]:
    return tuple(torch.tensor(v, dtype=torch.int64) for v in values)


# Known answers for philox4x32 with 10 rounds, from the authors' Random123 distribution (kat_vectors).
@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0, 0, 0, 0), 0, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((MASK,) * 4, (MASK << 32) | MASK, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0x299F31D0 << 32) | 0xA4093822,
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_gives_the_known_answers(counter, key, expected):
    assert tuple(int(w) for w in philox(words(*counter), key)) == expected


def test_a_sample_draws_the_same_alone_and_in_any_batch():
    key = Key.from_seed(3).child("latents")
    together = key.at(torch.arange(10))
    for kind in ("uniform", "normal"):
        batch = getattr(together, kind)("z", 3, 5)
        for i in (0, 4, 9):
            assert torch.equal(batch[i : i + 1], getattr(key.at(torch.tensor([i])), kind)("z", 3, 5))
            assert torch.equal(batch[i : i + 1], getattr(together[i : i + 1], kind)("z", 3, 5))


def test_names_seeds_and_paths_are_different_streams():
    at = torch.arange(64)
    root = Key.from_seed(0)
    streams = [
        root.child("a").at(at).bits("x", 4),
        root.child("a").at(at).bits("y", 4),
        root.child("b").at(at).bits("x", 4),
        root.child("a", 1).at(at).bits("x", 4),
        root.child("a", "1").at(at).bits("x", 4),
        Key.from_seed(1).child("a").at(at).bits("x", 4),
        root.child("a").at(at + 2**40).bits("x", 4),
    ]
    assert len({tuple(s.flatten().tolist()) for s in streams}) == len(streams)


def test_uniform_and_normal_have_their_distributions():
    draws = Key.from_seed(5).at(torch.arange(2000))
    uniform = draws.uniform("u", 50).double()
    assert uniform.min() >= 0 and uniform.max() < 1
    # Bounds are five standard errors of each estimate (n = 100,000).
    assert abs(uniform.mean() - 0.5) < 5 * (1 / 12 / 1e5) ** 0.5
    assert abs(uniform.var() - 1 / 12) < 5 * (1 / 180 / 1e5) ** 0.5
    normal = draws.normal("n", 50).double()
    assert abs(normal.mean()) < 5 * 1e5**-0.5
    assert abs(normal.var() - 1) < 5 * (2 / 1e5) ** 0.5
    assert abs((normal**4).mean() - 3) < 5 * (96 / 1e5) ** 0.5
    assert torch.isfinite(normal).all()
    pairs = normal.reshape(-1, 2)
    assert abs((pairs[:, 0] * pairs[:, 1]).mean()) < 5 * 5e4**-0.5


def test_integers_cover_their_range_evenly():
    counts = Key.from_seed(1).at(torch.arange(7000)).integers("i", 7).bincount(minlength=7)
    assert len(counts) == 7
    assert ((counts - 1000).abs() < 5 * 1000**0.5).all()


def test_a_key_that_is_a_tensor_draws_the_same_for_its_name_alone():
    key, indices = Key.from_seed(3), torch.tensor([0, 5, 2**33])
    draws = Draws(TensorKey(key.child("view").words(), "view"), indices)
    assert torch.equal(draws.bits("view", 7), key.at(indices).bits("view", 7))
    assert torch.equal(draws[1:].uniform("view", 2), key.at(indices).uniform("view", 2)[1:])
    with pytest.raises(ValueError, match="of 'view' alone, not of 'crop'"):
        draws.bits("crop")


def test_samples_of_a_part_are_numbered_from_its_first_and_draw_the_same():
    key, places = Key.from_seed(3), torch.tensor([0, 5, 6])
    part, whole = key.at(places, 40), key.at(places)
    assert part.indices.tolist() == [40, 45, 46] and part[1:].indices.tolist() == [45, 46]
    assert torch.equal(part.normal("z", 3), whole.normal("z", 3))
