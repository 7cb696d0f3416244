"""Previews: the samples that are shown, in their order, at their own size."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synthcl.pipeline.errors import DataError, UsageError
from synthcl.pipeline.images.grids import read_grid
from synthcl.pipeline.shards.preview import preview_shards


def test_pairs_stand_side_by_side_sorted_by_a_column(make_set, render, tmp_path: Path) -> None:
    path, out = make_set(images_per_sample=2), tmp_path / "grid.png"
    result = preview_shards(path, out=out, num_samples=6, columns=3, sort="sample_index", where="sample_index < 40")
    assert (result["num_samples"], result["image_size"]) == (6, 16)
    shown = read_grid(out, 16, 12, columns=6).reshape(6, 2, 3, 16, 16)
    assert (shown.numpy() == render(np.arange(39, 33, -1), 2)).all()
    plain = preview_shards(path, out=tmp_path / "plain.png", num_samples=6, columns=3)
    with Image.open(out) as valued, Image.open(tmp_path / "plain.png") as without:
        assert valued.height > without.height and plain["num_real"] == 0  # the values are below the samples


def test_real_images_are_above(make_set, render, tmp_path: Path) -> None:
    result = preview_shards(make_set(), out=tmp_path / "grid.png", num_samples=5, columns=4, data="digits")
    assert result["num_real"] == 4
    assert (read_grid(tmp_path / "grid.png", 16, 5).numpy() == render(np.array([0, 12, 24, 36, 49]))[:, 0]).all()


def test_named_images_are_sought_where_they_are_said_to_be(make_set, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"{tmp_path}/here"):
        preview_shards(make_set(), out=tmp_path / "grid.png", data="cifar10", data_root=tmp_path / "here")


def test_samples_are_spread_over_the_set(make_set, render, tmp_path: Path) -> None:
    preview_shards(make_set(), out=tmp_path / "grid.png", num_samples=5)
    assert (read_grid(tmp_path / "grid.png", 16, 5).numpy() == render(np.array([0, 12, 24, 36, 49]))[:, 0]).all()


@pytest.mark.parametrize(
    ("sort", "message"), [("nothing", "is no column of .*; it has key, shard"), ("key", "is not a column of numbers")]
)
def test_columns_that_cannot_be_sorted_by(make_set, tmp_path: Path, sort: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        preview_shards(make_set(), out=tmp_path / "grid.png", sort=sort)


@pytest.mark.parametrize(
    ("sort", "where", "message"),
    [
        ("pair_similarity", None, "none of the 30 samples of .*recorded has a value"),
        ("hardness", "hardness > 1e9", "none of the 10 samples of .* that --where selects has a value"),  # NaN is more
    ],
)
def test_a_column_without_values_is_refused(
    recorded: Path, tmp_path: Path, sort: str, where: str | None, message: str
) -> None:
    with pytest.raises(UsageError, match=f"--sort '{sort}': {message}"):
        preview_shards(recorded, out=tmp_path / "grid.png", sort=sort, where=where)
    assert not (tmp_path / "grid.png").exists()


def test_the_folder_is_made_and_another_ending_refused(make_set, tmp_path: Path) -> None:
    preview_shards(make_set(), out=tmp_path / "new" / "grid.png")
    assert (tmp_path / "new" / "grid.png").exists()
    with pytest.raises(UsageError, match=r"grid\.jpg must end in \.png"):
        preview_shards(make_set(), out=tmp_path / "grid.jpg")
