"""Writing sets: layout, identity, resume, any number of processes, faults."""

import errno
import os
import subprocess
import sys
import tarfile
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from synthcl.pipeline.errors import DataError, UsageError
from synthcl.pipeline.shards import open_shard_set, pool, publish, write_shard_set
from synthcl.pipeline.shards.locks import PartLock
from synthcl.pipeline.shards.setfile import read_set_file


def never(indices: np.ndarray) -> np.ndarray:
    raise AssertionError(f"samples {indices} are there already")


def test_layout_is_plain_ustar(make_set) -> None:
    path = make_set(num_samples=50, samples_per_shard=20)
    assert sorted(p.name for p in path.iterdir()) == [".synthcl", "000000.tar", "000001.tar", "000002.tar"]
    hidden = ["000000.parquet", "000001.parquet", "000002.parquet", "shardset.json"]
    assert sorted(p.name for p in (path / ".synthcl").iterdir()) == hidden
    names = []
    for tar in sorted(path.glob("*.tar")):
        with tarfile.open(tar, "r:") as file:
            assert file.format == tarfile.USTAR_FORMAT or file.pax_headers == {}
            for member in file:
                assert (member.mtime, member.uid, member.gid, member.mode, member.type) == (0, 0, 0, 0o644, b"0")
                assert member.offset_data - member.offset == 512  # no extended headers
                names.append(member.name)
        assert tar.stat().st_size % 10_240 == 0
    assert names == [f"{i:010d}.png" for i in range(50)]


def test_sidecar_says_where_everything_is(make_set) -> None:
    path = make_set(pairs=True)
    table = pq.read_table(path / ".synthcl" / "000001.parquet").to_pydict()
    assert table["sample_index"] == list(range(20, 40)) and set(table["seed"]) == {3}
    assert table["key"] == [f"{i:010d}" for i in range(20, 40)] and set(table["shard"]) == {"000001.tar"}
    with tarfile.open(path / "000001.tar") as file:
        members = file.getmembers()
    assert [m.name for m in members[:2]] == ["0000000020.view0.png", "0000000020.view1.png"]
    assert table["offset"] == [m.offset_data for m in members[::2]]
    assert table["offset_view1"] == [m.offset_data for m in members[1::2]]
    assert table["size_view1"] == [m.size for m in members[1::2]]


@pytest.mark.parametrize(
    ("image_format", "quality", "tolerance"), [("png", None, 0), ("webp", None, 0), ("webp", 90, 60), ("jpg", None, 40)]
)
@pytest.mark.parametrize("pairs", [False, True])
def test_formats(make_set, render, image_format: str, quality: int | None, tolerance: int, pairs: bool) -> None:
    path = make_set(num_samples=10, samples_per_shard=6, image_format=image_format, quality=quality, pairs=pairs)
    shards = open_shard_set(path)
    images = shards.read_views(range(10)).numpy().astype(int)
    expected = render(np.arange(10), 2 if pairs else 1).astype(int)
    if tolerance == 0:
        assert (images == expected).all()
    else:
        assert 0 < np.abs(images - expected).mean() < tolerance
    suffix = ".view1." if pairs else "."
    with tarfile.open(path / "000001.tar") as file:
        assert file.getnames()[-1] == f"0000000009{suffix}{image_format}"
    assert shards.recipe.values["quality"] == {"jpg": 95}.get(image_format, quality)


def test_tensors_and_batch_size_change_nothing(tmp_path: Path, render, digest) -> None:
    for name, batch_size, convert in (("a", 256, np.asarray), ("b", 7, torch.from_numpy)):
        write_shard_set(
            tmp_path / name, {}, 30, 12, lambda i, c=convert: c(render(i)), workers=0, batch_size=batch_size
        )
    assert digest(tmp_path / "a") == digest(tmp_path / "b")


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
def test_a_set_is_extended(make_set, render, digest, first: int) -> None:
    whole = make_set("whole", num_samples=90)
    path = make_set("grown", num_samples=first)
    untouched = (path / "000000.tar").stat().st_mtime_ns
    info = write_shard_set(path, {"seed": 3, "weights": "abc"}, 90, 20, render, workers=0)
    assert (info.written, info.existing) == (90 - first, first)
    assert digest(whole) == digest(path)
    assert (path / "000000.tar").stat().st_mtime_ns == untouched


def test_an_extension_that_was_killed_between_tar_and_sidecar_is_continued(make_set, digest) -> None:
    whole = make_set("whole", num_samples=60)
    path = make_set("grown", num_samples=50)
    index = path / ".synthcl" / "shardset.json"
    # As after a kill: the index says that the set is being made, the last tar is the new one, its sidecar the old one.
    index.write_text(replace(read_set_file(path), num_samples=60, complete=False, shards=()).to_json())
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


def test_a_second_writer_is_refused_and_a_dead_ones_lock_recovered(make_set, tmp_path: Path, digest) -> None:
    whole = make_set("whole")
    path = tmp_path / "set"
    (path / ".synthcl").mkdir(parents=True)
    arguments = (path, {"seed": 3, "weights": "abc"}, 50, 20)
    with PartLock(path, 0, 1):
        with pytest.raises(DataError, match="being written by another process"):
            write_shard_set(*arguments, never)
        with pytest.raises(DataError, match="give all jobs the same --num-jobs"):
            write_shard_set(*arguments, never, process_index=1, num_processes=2)
    # What kill -9 leaves: lock files that nobody holds, and temporary files, of this and of other parts.
    for name in ("lock-0-of-1", "lock-1-of-4", ".tmp-0-of-1-000000.tar", ".tmp-1-of-4-000001.tar"):
        (path / ".synthcl" / name).write_bytes(b"left")
    make_set("set")
    assert digest(whole) == digest(path)


def test_a_shard_without_sidecar_is_taken_if_it_is_the_same_and_refused_if_not(
    make_set, tmp_path: Path, digest
) -> None:
    whole = make_set("whole")
    path = make_set("set")
    for name in ("shardset.json", "000001.parquet", "000002.parquet"):
        (path / ".synthcl" / name).unlink()
    with pytest.raises(DataError, match="holds no shard set"):
        make_set("set")
    (path / ".synthcl" / "shardset.json").write_bytes((whole / ".synthcl" / "shardset.json").read_bytes())
    begun = replace(read_set_file(path), complete=False, shards=()).to_json()
    (path / ".synthcl" / "shardset.json").write_text(begun)
    (path / "000002.tar").write_bytes(b"something else")
    with pytest.raises(DataError, match=r"000002.tar is there already, without a sidecar"):
        make_set("set")
    assert (path / "000002.tar").read_bytes() == b"something else"
    (path / "000002.tar").unlink()
    make_set("set")
    assert digest(whole) == digest(path)


def test_a_published_shard_that_shrank_is_named(make_set) -> None:
    path = make_set()
    (path / "000001.tar").write_bytes(b"")
    with pytest.raises(DataError, match=r"000001.tar is missing or not of"):
        make_set()


@pytest.mark.parametrize("call", range(1, 14))
@pytest.mark.parametrize("where", ["fsync", "write", "close", "link"])
def test_a_full_disk_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, make_set, tmp_path: Path, digest, where: str, call: int
) -> None:
    whole = make_set("whole")
    calls = 0

    def full(*arguments: object) -> None:
        nonlocal calls
        calls += 1
        if calls == call:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    class File:
        def __init__(self, file) -> None:
            self.file = file

        def __getattr__(self, name: str):
            return getattr(self.file, name)

        def __enter__(self):
            return self

        def __exit__(self, *error: object) -> None:
            self.close()

        def write(self, data: bytes) -> int:
            if where == "write":
                full()
            return self.file.write(data)

        def close(self) -> None:
            self.file.close()
            if where == "close":
                full()

    def failing_open(path: Path, mode: str):
        return File(open(path, mode)) if mode == "wb" else open(path, mode)

    with monkeypatch.context() as patch:
        patch.setattr(publish, "open", failing_open, raising=False)
        if where in ("fsync", "link"):
            real = getattr(os, where)
            patch.setattr(publish.os, where, lambda *a: (full(), real(*a))[1])
        try:
            make_set("set")
        except DataError as error:
            assert "No space left on device" in str(error)
            left = [p.name for p in (tmp_path / "set" / ".synthcl").iterdir()]
            assert not any(name.startswith((".tmp", "lock")) for name in left)
        else:
            # Where links fail the file is renamed, so that is no failure; and some have fewer calls.
            assert calls < call or where == "link"
    for sidecar in (tmp_path / "set" / ".synthcl").glob("0*.parquet"):
        assert sidecar.read_bytes() == (whole / ".synthcl" / sidecar.name).read_bytes()
    make_set("set")
    assert digest(whole) == digest(tmp_path / "set")


def test_a_disk_that_lies_is_noticed(monkeypatch: pytest.MonkeyPatch, make_set, tmp_path: Path) -> None:
    real = publish.file_sha256
    monkeypatch.setattr(publish, "file_sha256", lambda path: "0" * 64 if "000001.tar" in path.name else real(path))
    with pytest.raises(DataError, match="does not hold what was written"):
        make_set("set")
    assert [p.name for p in (tmp_path / "set").glob("*.tar")] == ["000000.tar"]


def test_the_generator_does_not_wait_for_the_disk(tmp_path: Path, render, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a shard is being published, rendering goes on."""
    rendered, seen = [], []
    real = publish.TemporaryFile.finish

    def slow(self) -> None:
        if self.path.name.endswith("000000.tar"):
            for _ in range(500):
                if rendered and rendered[-1] >= 60:
                    break
                threading.Event().wait(0.01)
            seen.append(rendered[-1])
        real(self)

    monkeypatch.setattr(publish.TemporaryFile, "finish", slow)

    def note(indices: np.ndarray) -> np.ndarray:
        rendered.append(int(indices[-1]))
        return render(indices)

    write_shard_set(tmp_path / "s", {}, 100, 20, note, workers=1)
    assert seen[0] >= 60


def test_an_encoder_process_that_dies_ends_the_call(tmp_path: Path, render, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    real = pool._EncoderProcess
    monkeypatch.setattr(pool, "_EncoderProcess", lambda: started.append(real()) or started[-1])

    def kill(indices: np.ndarray) -> np.ndarray:
        if indices[0] == 20:
            for encoder in started:
                encoder.process.kill()
                encoder.process.wait()
        return render(indices)

    with pytest.raises(DataError, match="an encoder process ended early"):
        write_shard_set(tmp_path / "s", {}, 100, 20, kill, workers=1)


def test_writing_does_not_import_torch() -> None:
    code = (
        "import sys, synthcl.pipeline.shards.writer, synthcl.pipeline.shards.worker; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_progress_counts_samples(tmp_path: Path, render) -> None:
    seen: list[tuple[int, int]] = []
    write_shard_set(
        tmp_path / "s", {}, 50, 20, render, workers=0, progress=lambda done, total: seen.append((done, total))
    )
    assert seen[-1] == (50, 50) and [done for done, _ in seen] == sorted({done for done, _ in seen})
