"""Adopting tars from elsewhere, and making lost sidecars again."""

from pathlib import Path

import numpy as np
import pytest

from synthcl.pipeline.errors import DataError
from synthcl.pipeline.shards import ShardRecorder, open_shard_set, open_shard_store
from synthcl.pipeline.shards.verify import verify_shard_set
from synthcl.pipeline.shards.writing.adopt import index_shards


def test_tars_of_others_are_adopted(tmp_path: Path, png, write_tar) -> None:
    path = tmp_path / "theirs"
    for shard in range(3):
        samples = {f"dir/img{shard}_{i}": i for i in range(4)}
        members = {
            f"{key}.{end}": data
            for key, i in samples.items()
            for end, data in [("jpg", png(40 * i, kind="JPEG")), ("cls", str(i).encode()), ("json", b"{}")]
        }
        write_tar(path / f"train-{shard:04d}.tar", members)
    before = {tar.name: tar.read_bytes() for tar in path.glob("*.tar")}
    with pytest.raises(DataError, match=r"synthcl shards index"):
        open_shard_set(path)
    info = index_shards(path)
    assert info.complete and info.num_samples == 12 and info.num_shards == 3
    assert before == {tar.name: tar.read_bytes() for tar in path.glob("*.tar")}
    shards = open_shard_set(path, where="label = '2'")
    assert shards.keys([0, 1, 2]) == ["dir/img0_2", "dir/img1_2", "dir/img2_2"]
    assert shards.image_size == 8 and (shards.read_views([1]).float() - 80).abs().max() <= 2
    assert open_shard_store(path).labels.tolist() == [0, 1, 2, 3] * 3
    assert verify_shard_set(path, decode=True).to_dict() == {"ok": True, "num_samples": 12, "errors": []}


def test_a_label_is_a_column_of_all_tars_where_some_have_any(tmp_path: Path, png, write_tar) -> None:
    path = tmp_path / "s"
    write_tar(path / "a.tar", {"0.png": png(1)})
    write_tar(path / "b.tar", {"1.png": png(2), "1.cls": b"7"})
    index_shards(path)
    assert open_shard_set(path).table(columns=["key", "label"]).to_pydict() == {"key": ["0", "1"], "label": [None, "7"]}
    assert open_shard_set(path, where="label = '7'").keys([0]) == ["1"]
    store = open_shard_store(path)
    assert store.labels is None and store.read([0, 1])[:, 0, 0, 0].tolist() == [1, 2]
    assert verify_shard_set(path, decode=True).ok


@pytest.mark.parametrize("views", [2, 12])
@pytest.mark.parametrize("backwards", [False, True])
def test_the_images_of_a_sample_may_come_in_any_order(
    tmp_path: Path, png, write_tar, views: int, backwards: bool
) -> None:
    colors = {f"{key}.view{view}.png": 100 * row + 5 * view for row, key in enumerate("ab") for view in range(views)}
    names = sorted(colors, reverse=backwards)  # view10 before view2
    write_tar(tmp_path / "s" / "a.tar", {name: png(colors[name]) for name in names})
    index_shards(tmp_path / "s")
    shards = open_shard_set(tmp_path / "s")
    shown = dict(zip(shards.keys([0, 1]), shards.read_views([0, 1])[:, :, 0, 0, 0].tolist(), strict=True))
    assert shown == {"a": [5 * view for view in range(views)], "b": [100 + 5 * view for view in range(views)]}
    assert verify_shard_set(tmp_path / "s", decode=True).ok


def test_adopting_again_takes_new_tars_and_forgets_old_ones(tmp_path: Path, png, write_tar) -> None:
    write_tar(tmp_path / "s" / "a.tar", {"1.png": png(1)})
    first = index_shards(tmp_path / "s")
    assert index_shards(tmp_path / "s").recipe_hash == first.recipe_hash
    write_tar(tmp_path / "s" / "b.tar", {"2.png": png(2)})
    with pytest.raises(DataError, match=r"b\.tar is not in the set's manifest"):
        open_shard_set(tmp_path / "s")
    assert index_shards(tmp_path / "s").num_samples == 2
    (tmp_path / "s" / "a.tar").unlink()
    assert index_shards(tmp_path / "s").num_samples == 1
    assert verify_shard_set(tmp_path / "s").ok


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"1.png": 3, "9.png": 4}, r"the key '1' is in a\.tar and again in c\.tar"),
        ({"9.view0.png": 3, "9.view1.png": 4}, "mixes samples of different numbers of images"),
        (None, r"c\.tar"),
    ],
)
def test_a_tar_that_cannot_be_adopted_leaves_the_set_as_it_was(
    tmp_path: Path, png, write_tar, digest, members: dict[str, int] | None, message: str
) -> None:
    path = tmp_path / "s"
    for name, key in (("a.tar", 1), ("b.tar", 2)):
        write_tar(path / name, {f"{key}.png": png(key)})
    index_shards(path)
    before = digest(path)
    if members is None:
        (path / "c.tar").write_bytes((path / "a.tar").read_bytes()[:700])
    else:
        write_tar(path / "c.tar", {name: png(color) for name, color in members.items()})
    with pytest.raises(DataError, match=message):
        index_shards(path)
    (path / "c.tar").unlink()
    assert digest(path) == before and verify_shard_set(path).ok


def test_an_indexing_that_was_killed_is_begun_again(tmp_path: Path, png, write_tar, digest, killed_at) -> None:
    whole, path = tmp_path / "whole", tmp_path / "s"
    for folder in (whole, path):
        for name, key in (("a.tar", 1), ("b.tar", 2)):
            write_tar(folder / name, {f"{key}.png": png(key)})
        index_shards(folder)
        write_tar(folder / "c.tar", {"3.png": png(3)})
    index_shards(whole)
    call = 1
    while killed_at(call, lambda: index_shards(path)):
        call += 1
    index_shards(path)
    assert call > 5 and digest(path) == digest(whole)


def test_images_of_several_sizes_need_one(tmp_path: Path, png, write_tar) -> None:
    write_tar(tmp_path / "s" / "a.tar", {"1.png": png(1, (8, 8)), "2.webp": png(200, (20, 10), "WEBP")})
    info = index_shards(tmp_path / "s")
    assert info.manifest.image_size is None and info.manifest.image_format is None
    with pytest.raises(DataError, match="pass --image-size"):
        open_shard_set(tmp_path / "s")
    images = open_shard_set(tmp_path / "s", image_size=6).read_views([0, 1])
    assert images.shape == (2, 1, 3, 6, 6) and abs(int(images[1].float().mean()) - 200) < 3


def test_lost_sidecars_are_made_again(make_set, digest) -> None:
    path = make_set(images_per_sample=2)
    before = digest(path)
    (path / ".synthcl" / "000001.parquet").unlink()
    (path / ".synthcl" / "000002.parquet").write_bytes(b"damaged")
    index_shards(path)
    assert digest(path) == before


def test_a_generated_set_takes_no_tars_from_elsewhere(make_set, png, write_tar, digest) -> None:
    path = make_set()
    write_tar(path / "zzz.tar", {"z.png": png(1)})
    before = digest(path)
    with pytest.raises(DataError, match=r"zzz\.tar is not in the set's manifest, .*: move it away"):
        index_shards(path)
    assert digest(path) == before


def test_what_cannot_be_made_again_is_refused(make_set, tmp_path: Path, flip) -> None:
    path = make_set()
    (path / ".synthcl" / "000001.parquet").unlink()
    flip(path / "000001.tar", 5000)
    with pytest.raises(DataError, match=r"000001.tar is missing or damaged"):
        index_shards(path)
    with ShardRecorder(tmp_path / "r", {}, workers=0) as recorder:
        recorder.rewind(0)
        recorder.append(0, np.zeros((2, 1, 3, 4, 4), np.uint8), hardness=np.zeros(2))
        recorder.finish()
    with pytest.raises(DataError, match="is a recording"):
        index_shards(tmp_path / "r")
    with pytest.raises(DataError, match="has no tars"):
        index_shards(tmp_path)
