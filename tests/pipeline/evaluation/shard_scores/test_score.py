"""Scores of a set under an encoder."""

from pathlib import Path

import numpy as np
import pytest

from synthcl.pipeline.errors import DataError, UsageError
from synthcl.pipeline.evaluation.shard_scores.score import score_shards
from synthcl.pipeline.shards import open_shard_set


@pytest.mark.parametrize("views", [1, 2])
def test_scores_become_columns(make_set, encoder_folder: Path, views: int, digest) -> None:
    path = make_set(num_samples=90, samples_per_shard=40, images_per_sample=views)
    before = digest(path)
    result = score_shards(path, encoder=encoder_folder, data=str(path), clusters=3, batch_size=32)
    assert result["columns"] == ["hardness", "cluster", "nearest_real_distance"] and result["num_samples"] == 90
    assert before.items() <= digest(path).items()
    shards = open_shard_set(path)
    assert np.isfinite(shards.column("hardness")).all() and shards.column("hardness").std() > 0
    assert set(shards.column("cluster")) == {0, 1, 2}
    # The "real" images are the set itself, so that every sample is its own nearest.
    assert np.abs(shards.column("nearest_real_distance")).max() < 1e-5
    hard = open_shard_set(path, where=f"hardness > {np.median(shards.column('hardness'))}")
    assert 30 <= len(hard) <= 60


def test_scores_do_not_depend_on_history(make_set, encoder_folder: Path) -> None:
    columns = []
    for name in ("a", "b"):
        path = make_set(name, num_samples=70)
        score_shards(path, encoder=encoder_folder, batch_size=32, seed=1)
        columns.append(open_shard_set(path).table(columns=["hardness", "cluster"]).to_pydict())
    assert columns[0] == columns[1]


def test_real_images_need_not_be_square(make_set, encoder_folder: Path, picture, tmp_path) -> None:
    for number in range(4):
        picture(number, 20, 15).save(tmp_path / f"{number}.png")
    result = score_shards(make_set(), encoder=encoder_folder, data=str(tmp_path / "*.png"), clusters=2)
    assert result["mean_nearest_real_distance"] > 0


def test_seeds_of_more_than_32_bits_are_taken(make_set, encoder_folder: Path) -> None:
    assert score_shards(make_set(), encoder=encoder_folder, clusters=2, seed=2**32 + 1)["num_samples"] == 50


def test_what_cannot_be_scored(make_set, encoder_folder: Path, tmp_path: Path) -> None:
    path = make_set(num_samples=20)
    with pytest.raises(UsageError, match="--clusters 50 is more than the 20 samples"):
        score_shards(path, encoder=encoder_folder, clusters=50)
    with pytest.raises(DataError, match="there is no run"):
        score_shards(path, encoder=tmp_path / "nowhere")
    score_shards(path, encoder=encoder_folder, clusters=2)
    with pytest.raises(UsageError, match=r"is there already, of 20 samples; give --overwrite"):
        score_shards(path, encoder=encoder_folder)


def test_a_set_that_has_grown_is_scored_again(make_set, encoder_folder: Path) -> None:
    path = make_set(num_samples=40)
    score_shards(path, encoder=encoder_folder, clusters=2)
    make_set(num_samples=60)
    with pytest.raises(
        DataError, match=r"'hardness' .* scored when the set had 40 samples, and now it has 60: .*--over"
    ):
        open_shard_set(path, where="hardness > 0")
    assert len(open_shard_set(path, where="sample_index < 50")) == 50  # what is not of the table can be read
    with pytest.raises(UsageError, match="of 40 samples; give --overwrite"):
        score_shards(path, encoder=encoder_folder, clusters=2)
    assert score_shards(path, encoder=encoder_folder, clusters=2, overwrite=True)["num_samples"] == 60
    assert len(open_shard_set(path, where="hardness > 0")) == 60
