"""Writing sets: identity, resume, any number of processes, impossible options."""

import tarfile
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from synthcl.pipeline.errors import DataError, UsageError
from synthcl.pipeline.runtime.readback import Readback
from synthcl.pipeline.shards import open_shard_set, write_shard_set
from synthcl.pipeline.shards.layout import MANIFEST
from synthcl.pipeline.shards.manifest import read_manifest
from synthcl.pipeline.shards.status import ShardSetInfo
from synthcl.pipeline.shards.verify import verify_shard_set

RECIPE = {"seed": 3, "weights": "abc"}  # of `make_set`


def never(indices: np.ndarray) -> np.ndarray:
    raise AssertionError(f"samples {indices} are there already")


@pytest.mark.parametrize(
    ("image_format", "quality", "tolerance"), [("png", None, 0), ("webp", None, 0), ("webp", 90, 60), ("jpg", None, 40)]
)
@pytest.mark.parametrize("views", [1, 2, 5])
def test_formats(make_set, render, image_format: str, quality: int | None, tolerance: int, views: int) -> None:
    path = make_set(
        num_samples=10, samples_per_shard=6, image_format=image_format, quality=quality, images_per_sample=views
    )
    shards = open_shard_set(path)
    images = shards.read_views(range(10)).numpy().astype(int)
    expected = render(np.arange(10), views).astype(int)
    if tolerance == 0:
        assert (images == expected).all()
    else:
        assert 0 < np.abs(images - expected).mean() < tolerance
    suffix = f".view{views - 1}." if views > 1 else "."
    with tarfile.open(path / "000001.tar") as file:
        assert file.getnames()[-1] == f"0000000009{suffix}{image_format}"
    assert shards.recipe.values["quality"] == {"jpg": 95}.get(image_format, quality)


def test_tensors_and_batch_size_change_nothing(tmp_path: Path, render, digest) -> None:
    for name, batch_size, convert in (("a", 256, np.asarray), ("b", 7, torch.from_numpy)):
        write_shard_set(
            tmp_path / name, {}, 30, 12, lambda i, c=convert: c(render(i)), workers=0, batch_size=batch_size
        )
    first, second = digest(tmp_path / "a"), digest(tmp_path / "b")
    assert first.pop(MANIFEST) != second.pop(MANIFEST) and first == second  # it notes the batch size


def test_another_batch_size_is_warned_of(tmp_path: Path, render, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "s"
    for num_samples, batch_size in ((20, 8), (30, 8), (30, 5)):
        write_shard_set(path, {}, num_samples, 10, render, workers=0, batch_size=batch_size)
    assert not caplog.records and read_manifest(path).batch_size == 8
    write_shard_set(path, {}, 40, 10, render, workers=0, batch_size=5)
    assert "was begun with --batch-size 8 and goes on with 5" in caplog.text
    assert read_manifest(path).batch_size == 8


def test_a_set_of_before_batch_sizes_were_noted_goes_on_as_it_was(
    tmp_path: Path, render, digest, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("whole", "grown"):
        write_shard_set(tmp_path / name, {}, 30 if name == "whole" else 20, 10, render, workers=0)
        text = replace(read_manifest(tmp_path / name), batch_size=None).to_json()
        assert "batch_size" not in text
        (tmp_path / name / MANIFEST).write_text(text)
    write_shard_set(tmp_path / "grown", {}, 30, 10, render, workers=0, batch_size=7)
    assert digest(tmp_path / "grown") == digest(tmp_path / "whole") and not caplog.records


@pytest.mark.parametrize("num_processes", [2, 3, 7])
def test_any_number_of_processes_in_any_order_gives_the_same_bytes(
    tmp_path: Path, make_set, render, digest, num_processes: int
) -> None:
    alone = make_set("alone", num_samples=110, samples_per_shard=20)
    infos = [
        write_shard_set(
            tmp_path / "many",
            {"seed": 3, "weights": "abc"},
            110,
            20,
            render,
            process_index=index,
            num_processes=num_processes,
            workers=0,
        )
        for index in reversed(range(num_processes))
    ]
    assert digest(alone) == digest(tmp_path / "many")
    assert [info.complete for info in infos] == [False] * (len(infos) - 1) + [True] or num_processes == 7
    assert sum(info.written for info in infos) == 110 and sum(info.existing for info in infos) == 0


def test_processes_at_the_same_time(tmp_path: Path, make_set, render, digest) -> None:
    alone = make_set("alone", num_samples=200, samples_per_shard=10)
    arguments = (tmp_path / "many", {"seed": 3, "weights": "abc"}, 200, 10, render)
    threads = [
        threading.Thread(
            target=write_shard_set,
            args=arguments,
            kwargs={"process_index": i, "num_processes": 4, "workers": i % 2},
        )
        for i in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert digest(alone) == digest(tmp_path / "many")


def test_a_finished_set_is_reused(make_set, tmp_path: Path, digest) -> None:
    path = make_set()
    before = digest(path)
    info = write_shard_set(path, {"weights": "abc", "seed": 3}, 50, 20, never)
    assert info.reused and info.complete and info.num_samples == 50
    assert (info.written, info.existing) == (0, 50)
    assert digest(path) == before


def test_a_partial_set_is_continued_without_doing_anything_again(make_set, tmp_path: Path, render, digest) -> None:
    whole = make_set("whole", num_samples=50)
    asked: list[int] = []

    def fail_late(indices: np.ndarray) -> np.ndarray:
        if indices[0] >= 40:
            raise RuntimeError("the generator broke")
        return render(indices)

    def note(indices: np.ndarray) -> np.ndarray:
        asked.extend(indices.tolist())
        return render(indices)

    arguments = (tmp_path / "part", {"seed": 3, "weights": "abc"}, 50, 20)
    with pytest.raises(RuntimeError, match="the generator broke"):
        write_shard_set(*arguments, fail_late, workers=0)
    left = sorted(p.name for p in (tmp_path / "part").rglob("*.*"))
    assert not any(name.startswith((".tmp", "lock")) for name in left) and "000002.tar" not in left
    with pytest.raises(DataError, match="not complete"):
        open_shard_set(tmp_path / "part")
    done = [name for name in left if name.endswith(".tar")]
    info = write_shard_set(*arguments, note, workers=0)
    assert asked == list(range(20 * len(done), 50)) and not info.reused
    assert (info.written, info.existing) == (len(asked), 50 - len(asked))
    assert digest(whole) == digest(tmp_path / "part")


@pytest.mark.parametrize("first", [40, 45])
def test_a_set_is_extended(make_set, digest, first: int) -> None:
    whole = make_set("whole", num_samples=90)
    path = make_set("grown", num_samples=first)
    untouched = (path / "000000.tar").stat().st_mtime_ns
    assert make_set("grown", num_samples=90) == path
    assert digest(whole) == digest(path)
    assert (path / "000000.tar").stat().st_mtime_ns == untouched


def test_a_set_is_extended_while_another_part_is_at_work(tmp_path: Path, make_set, render, digest) -> None:
    whole, path = make_set("whole", num_samples=80), tmp_path / "many"
    begun: list[ShardSetInfo | None] = []

    def part(index: int, num_samples: int) -> ShardSetInfo:
        return write_shard_set(path, RECIPE, num_samples, 20, extend, process_index=index, num_processes=2, workers=0)

    def extend(indices: np.ndarray) -> np.ndarray:
        if not begun:
            begun.append(None)
            begun[0] = part(1, 80)
        return render(indices)

    info = part(0, 40)
    for one, published in ((begun[0], 40), (info, 60)):
        assert (one.complete, one.num_samples, one.num_published) == (False, 80, published)
    assert not read_manifest(path).complete
    assert part(0, 80).complete and digest(whole) == digest(path) and verify_shard_set(path).ok


def test_an_extension_that_was_killed_between_tar_and_sidecar_is_continued(make_set, digest) -> None:
    whole = make_set("whole", num_samples=60)
    path = make_set("grown", num_samples=50)
    index = path / ".synthcl" / "shardset.json"
    # As after a kill: the index says that the set is being made, the last tar is the new one, its sidecar the old one.
    index.write_text(replace(read_manifest(path), num_samples=60, complete=False, shards=()).to_json())
    (path / "000002.tar").write_bytes((whole / "000002.tar").read_bytes())
    make_set("grown", num_samples=60)
    assert digest(whole) == digest(path)


def test_another_recipe_is_refused_with_the_difference(make_set, tmp_path: Path, digest) -> None:
    path = make_set()
    before = digest(path)
    with pytest.raises(UsageError, match='weights: "abc" there, "xyz" now'):
        write_shard_set(path, {"seed": 3, "weights": "xyz"}, 50, 20, never)
    with pytest.raises(UsageError, match="samples_per_shard: 20 there, 10 now"):
        write_shard_set(path, {"seed": 3, "weights": "abc"}, 50, 10, never)
    with pytest.raises(UsageError, match=r'format: "png" there, "jpg" now(.|\n)*quality: null there, 95 now'):
        write_shard_set(path, {"seed": 3, "weights": "abc"}, 50, 20, never, image_format="jpg")
    with pytest.raises(UsageError, match="50 samples of this recipe, more than the 30"):
        write_shard_set(path, {"seed": 3, "weights": "abc"}, 30, 20, never)
    assert digest(path) == before


def test_folders_that_hold_something_else_are_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"x")
    with pytest.raises(DataError, match=r"not empty and holds no shard set \(it has photo.jpg\)"):
        write_shard_set(tmp_path, {}, 5, 5, never)
    with pytest.raises(DataError, match="is a file"):
        write_shard_set(tmp_path / "photo.jpg", {}, 5, 5, never)
    assert [p.name for p in tmp_path.iterdir()] == ["photo.jpg"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_format": "gif"}, "choose one of png, jpg, webp"),
        ({"quality": 50}, "png is lossless"),
        ({"image_format": "jpg", "quality": 101}, "between 1 and 100, not 101"),
        ({"process_index": 2, "num_processes": 2}, "process 2 of 2"),
    ],
)
def test_options_that_do_not_fit(tmp_path: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        write_shard_set(tmp_path / "s", {}, 5, 5, never, **options)
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("shape", [(5, 3, 8, 8), (5, 2, 3, 8, 8), (4, 1, 3, 8, 8), (5, 1, 3, 8, 9)])
def test_a_render_of_the_wrong_shape_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="render must give uint8"):
        write_shard_set(tmp_path / "s", {}, 5, 5, lambda i: np.zeros(shape, np.uint8), workers=0)
    assert not list((tmp_path / "s").glob("*.tar"))


@pytest.mark.parametrize("kind", ["tensor", "on its way"])
def test_copies_to_the_host_begin_before_the_next_batch(tmp_path, digest, monkeypatch, render, kind):
    """They are asked for after it, so that the device has work; the set is that of arrays."""
    told = []

    class Told(Readback):
        def __init__(self, values):
            told.append("begun")
            super().__init__(values)

        def array(self):
            told.append("asked for")
            return super().array()

    monkeypatch.setattr("synthcl.pipeline.runtime.readback.Readback", Told)

    def rendered(indices):
        told.append("rendered")
        images = torch.from_numpy(np.asarray(render(indices)))
        return images if kind == "tensor" else Told(images)

    plain = write_shard_set(tmp_path / "plain", {}, 10, 10, render, batch_size=4, workers=0)
    sent = write_shard_set(tmp_path / "sent", {}, 10, 10, rendered, batch_size=4, workers=0)
    assert told == [*["rendered", "begun"] * 2, "asked for", "rendered", "begun", "asked for", "asked for"]
    assert sent.num_samples == plain.num_samples and digest(tmp_path / "sent") == digest(tmp_path / "plain")
