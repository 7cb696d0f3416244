"""The offline regime: sets in a keyed permutation or in windows of shards, here and elsewhere, and both mixed."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from synthcl.learners import create_backbone, create_learner
from synthcl.pipeline.data import GlobalOrder, cached, open_images
from synthcl.pipeline.data.window_order import WindowOrder
from synthcl.pipeline.errors import UsageError
from synthcl.pipeline.randomness import Key
from synthcl.pipeline.regimes.assembly import RealImages, ViewMaker
from synthcl.pipeline.regimes.base import Share
from synthcl.pipeline.regimes.offline import OfflineRegime, ShardImages, sample_order
from synthcl.pipeline.shards import open_shard_set, remote, write_shard_set
from synthcl.pipeline.shards.interop import TorchShards
from synthcl.pipeline.views import Augmentation, denormalize

CPU = torch.device("cpu")
SIZE = 8
STEPS = 40


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SYNTHCL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "shards"


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sets, `a` of 70 pairs and `b` of 45, each image of one value: the number of its sample in a, then b."""
    folder = tmp_path_factory.mktemp("sets")
    for name, count, first in (("a", 70, 0), ("b", 45, 70)):

        def render(indices: np.ndarray, first: int = first) -> np.ndarray:
            return np.broadcast_to(
                (indices + first)[:, None, None, None, None], (len(indices), 2, 3, SIZE, SIZE)
            ).astype(np.uint8)

        write_shard_set(folder / name, {"name": name}, count, 10, render, images_per_sample=2, workers=0)
    return folder


SOURCES: dict[str, Callable[[Path], list[str]]] = {
    "here": lambda folder: [f"{folder}/a", f"{folder}/b"],
    "elsewhere": lambda folder: [f"file://{folder}/a", f"file://{folder}/b"],
    "mixed": lambda folder: [f"{folder}/a", f"file://{folder}/b"],
}


def regime(
    paths: list[str],
    *,
    rank: int = 0,
    num_processes: int = 1,
    seed: int = 0,
    where: str | None = None,
    mode: str = "none",
    images_per_sample: int = 2,
    width: int | None = 2,
    classes: torch.Tensor | None = None,
) -> OfflineRegime:
    key = Key.from_seed(seed)
    store, asked = open_images("digits", image_size=SIZE), classes is not None
    real = RealImages.create(store, Share(16, rank, num_processes), key, CPU, with_labels=asked)
    images = ShardImages([open_shard_set(path, where=where) for path in paths], SIZE)
    share = Share(8, rank, num_processes)
    order = sample_order(images, share, key, width)
    views = ViewMaker(Augmentation("none", SIZE), key)
    return OfflineRegime(real, views, cached(images, mode), images_per_sample, share, order, STEPS, classes=classes)


def numbers(regime: OfflineRegime, step: int) -> list[int]:
    """The samples that a step saw, told by their pixels."""
    images = (regime.samples(step) * 255).round().to(torch.uint8)
    assert (images == images[:, :1, :1, :1, :1]).all()
    return images[:, 0, 0, 0, 0].tolist()


@pytest.fixture(params=SOURCES)
def paths(request: pytest.FixtureRequest, sets: Path) -> list[str]:
    return SOURCES[request.param](sets)


def test_the_order_is_the_same_wherever_the_sets_lie(sets: Path) -> None:
    orders = {name: regime(paths(sets)).order for name, paths in SOURCES.items()}
    for order in orders.values():
        assert isinstance(order, WindowOrder)
        for step in range(STEPS):
            assert order.indices(step).tolist() == orders["elsewhere"].indices(step).tolist()


def test_without_windows_all_samples_are_mixed_as_one(sets: Path) -> None:
    order = regime(SOURCES["here"](sets), width=None).order
    alone = GlobalOrder(115, 8, Key.from_seed(0).child("shard order"))
    assert all(order.indices(step).tolist() == alone.indices(step).tolist() for step in range(STEPS))


@pytest.mark.parametrize("width", [2, None])
def test_an_epoch_has_every_sample_once_and_the_next_another_order(paths: list[str], width: int | None) -> None:
    offline = regime(paths, width=width)
    epochs = [[n for step in range(14 * e, 14 * e + 14) for n in numbers(offline, step)] for e in range(2)]
    for epoch in epochs:
        assert len(set(epoch)) == len(epoch) == 14 * 8 and set(epoch) <= set(range(115))
    assert epochs[0] != epochs[1]
    assert epochs[0] != [n for step in range(14) for n in numbers(regime(paths, seed=1), step)]


def test_any_step_of_any_process_after_any_history_sees_the_same(paths: list[str]) -> None:
    whole = regime(paths)
    expected = [numbers(whole, step) for step in range(STEPS)]
    for step in (0, 13, 14, 27, 39):
        for num_processes in (1, 2, 4):
            parts = [numbers(regime(paths, rank=r, num_processes=num_processes), step) for r in range(num_processes)]
            assert [n for part in parts for n in part] == expected[step]
    in_memory = regime(paths, mode="ram")
    assert [numbers(in_memory, step) for step in range(STEPS)] == expected


@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")  # more than there are cores
@pytest.mark.parametrize("workers", [0, 1, 2, 3])
@pytest.mark.parametrize("source", ["here", "elsewhere"])
def test_any_number_of_loading_workers_gives_the_same(sets: Path, source: str, workers: int) -> None:
    """For loaders of the user's own: the order as a batch sampler."""
    (path, _) = SOURCES[source](sets)
    shards = open_shard_set(path)
    order = sample_order(ShardImages([shards], SIZE), Share(8), Key.from_seed(0), 2)
    steps = [order.indices(step) for step in range(12)]
    loader = DataLoader(TorchShards(shards), batch_sampler=[step.tolist() for step in steps], num_workers=workers)
    for (images, samples), step in zip(loader, steps, strict=True):
        assert samples.tolist() == step.tolist() and (images[:, 1, 0, 0, 0] == samples).all()


@pytest.fixture
def fours(tmp_path: Path) -> str:
    """A set of 20 samples of four images, each of one value: image v of sample i is 4 i + v."""

    def render(indices: np.ndarray) -> np.ndarray:
        values = indices[:, None] * 4 + np.arange(4)
        return np.broadcast_to(values[..., None, None, None], (len(indices), 4, 3, SIZE, SIZE)).astype(np.uint8)

    write_shard_set(tmp_path / "fours", {"name": "fours"}, 20, 10, render, images_per_sample=4, workers=0)
    return str(tmp_path / "fours")


def learner() -> torch.nn.Module:
    torch.manual_seed(0)
    return create_learner("simclr", create_backbone("resnet10-w8", image_size=SIZE), temperature=0.3)


@pytest.mark.parametrize(("rank", "num_processes"), [(0, 1), (0, 2), (1, 2)])
def test_a_batch_has_two_views_of_each_of_the_four_images_of_a_sample_in_its_group(
    fours: str, rank: int, num_processes: int
) -> None:
    offline = regime([fours], images_per_sample=4, rank=rank, num_processes=num_processes)
    batch = offline.batch(3, learner())
    real, samples = 16 // num_processes, 8 // num_processes
    assert batch.num_real == real * 2 and len(batch.views) == real * 2 + samples * 4 * 2
    groups = torch.cat(
        (
            torch.arange(rank * real, (rank + 1) * real).repeat_interleave(2),
            16 + torch.arange(rank * samples, (rank + 1) * samples).repeat_interleave(8),
        )
    )
    assert torch.equal(batch.groups, groups)
    pixels = (denormalize(batch.views[batch.num_real :]) * 255).round().int()
    assert (pixels == pixels[:, :1, :1, :1]).all()
    drawn = offline.order.indices(3, rank, num_processes)
    expected = [4 * sample + image for sample in drawn for image in range(4) for _ in range(2)]
    assert pixels[:, 0, 0, 0].tolist() == expected and len(set(drawn)) == samples


@pytest.mark.parametrize(("rank", "num_processes"), [(0, 1), (0, 2), (1, 2)])
def test_each_view_of_a_sample_has_its_label(sets: Path, rank: int, num_processes: int) -> None:
    classes = 3 * torch.arange(115) % 115  # another for each
    offline = regime(SOURCES["here"](sets), rank=rank, num_processes=num_processes, classes=classes)
    for step in (0, 3):
        batch = offline.batch(step, learner())
        shown = denormalize(batch.views[batch.num_real :])[:, 0, 0, 0].mul(255).round().long()
        assert batch.labels is not None
        assert batch.labels[batch.num_real :].tolist() == classes[shown].tolist()


def test_simclrs_loss_of_four_images_a_sample_is_the_formula(fours: str) -> None:
    """Supervised contrast (arXiv 2004.11362, eq. 2): 1 positive of a real view, 7 of a synthetic one."""
    simclr = learner()
    batch = regime([fours], images_per_sample=4).batch(0, simclr)
    found = batch.ask(simclr)
    z = found.embeddings.double()
    losses = []
    for i in range(len(z)):
        others = [a for a in range(len(z)) if a != i]
        total = sum(torch.exp(z[i] @ z[a] / 0.3) for a in others)
        positives = [a for a in others if batch.groups[a] == batch.groups[i]]
        assert len(positives) == (1 if i < batch.num_real else 7)
        losses.append(-sum(torch.log(torch.exp(z[i] @ z[p] / 0.3) / total) for p in positives) / len(positives))
    expected = torch.stack(losses)
    torch.testing.assert_close(found.hardness.double(), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.loss.double(), expected.mean(), rtol=1e-4, atol=1e-4)


def test_a_condition_holds_for_all_sets(paths: list[str]) -> None:
    offline = regime(paths, where="sample_index % 30 < 8")
    seen = {n for step in range(5) for n in numbers(offline, step)}
    wanted = {i for i in range(70) if i % 30 < 8} | {70 + i for i in range(45) if i % 30 < 8}
    assert seen == wanted and len(wanted) == 40


def test_choices_of_a_set_are_told_apart_even_if_their_images_agree(tmp_path: Path) -> None:
    def render(indices: np.ndarray) -> np.ndarray:
        return np.zeros((len(indices), 1, 3, SIZE, SIZE), np.uint8)

    write_shard_set(tmp_path / "black", {"name": "black"}, 20, 10, render, workers=0)

    def fingerprint(where: str) -> str:
        return ShardImages([open_shard_set(tmp_path / "black", where=where)], SIZE).fingerprint()

    found = [fingerprint(where) for where in ("sample_index < 10", "sample_index >= 10", "sample_index % 2 = 0")]
    assert len(set(found)) == 3 and fingerprint("sample_index <= 9") == found[0]


def test_shards_come_before_they_are_read_and_none_is_fetched_for_nothing(
    sets: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[str] = []
    real = remote.RemoteReadableSet._download
    monkeypatch.setattr(remote.RemoteReadableSet, "_download", lambda *a: (fetched.append(a[1]), real(*a))[1])
    offline = regime([f"file://{sets}/a"])
    (each,) = offline.images.sets
    order, folder = offline.order, each.locator.folder
    offline.samples(0)
    folder._wanted.join()
    foreseen = each.locator.locate(np.concatenate([order.first_samples(0), order.first_samples(1)]))[0]
    assert sorted(n for n in fetched if n.endswith(".tar")) == sorted(f"{n:06d}.tar" for n in foreseen)
    last = regime([f"file://{sets}/a"])
    fetched.clear()
    last.samples(STEPS - 1)
    last.images.sets[0].locator.folder._wanted.join()
    assert last._fetched == last.order.window(STEPS - 1)  # what comes after the training is left where it is


def test_too_few_samples_and_too_small_a_cache_are_refused(sets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="has 5 samples, fewer than the 8 of a step"):
        regime([f"{sets}/a"], where="sample_index < 5")
    monkeypatch.setenv("SYNTHCL_CACHE_BYTES", "50000")
    with pytest.raises(UsageError, match="cannot hold 4 shards of file://"):
        regime([f"{sets}/a", f"file://{sets}/b"])
