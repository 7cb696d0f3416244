"""Quality of synthetic images, from shard sets and generators, and of encoders' features."""

import numpy as np
import pytest
import torch

from synthcl.pipeline.data import open_images
from synthcl.pipeline.data.parts import PartStore
from synthcl.pipeline.encoder import load_encoder
from synthcl.pipeline.errors import DataError, UsageError
from synthcl.pipeline.evaluation import evaluate_quality
from synthcl.pipeline.evaluation.features import extract_features
from synthcl.pipeline.evaluation.frechet import frechet_distance
from synthcl.pipeline.evaluation.manifold import measure_manifold
from synthcl.pipeline.images.png import encode_pngs
from synthcl.pipeline.shards import open_shard_store, write_shard_set


def test_shards_and_generator_are_measured_alike(run, generator, shards):
    of_shards = evaluate_quality(shards, "digits", encoder=str(run), num_samples=40, seed=3)
    of_generator = evaluate_quality(generator, "digits", encoder=str(run), num_samples=40, seed=3)
    for name in ("precision", "recall", "density", "coverage", "frechet_distance", "authenticity", "checkerboard"):
        assert of_shards[name] == pytest.approx(of_generator[name], rel=1e-4)
    assert of_shards["num_real"] == of_shards["num_generated"] == of_shards["num_held_out"] == 40
    assert 0 < of_shards["frechet_distance_held_out"] < of_shards["frechet_distance"]
    assert len(list((run / "evaluations").glob("quality-*.json"))) == 2


def test_distances_of_fewer_images_are_told_beside_all(run, shards):
    options = {"encoder": str(run), "held_out_data": "digits:test[:30]"}
    results = [evaluate_quality(shards, "digits", **options, **more) for more in ({}, {"num_samples": 30})]
    assert [one["num_generated"] for one in results] == [40, 30] and results[0]["num_held_out"] == 30
    assert results[0]["frechet_distance_as_many"] > results[0]["frechet_distance"]
    assert results[1]["frechet_distance_as_many"] is None


def test_few_held_out_images_are_said(run):
    result = evaluate_quality("digits:test", "digits", encoder=str(run), held_out_data="digits:test[:20]")
    assert result["warnings"] == ["fewer held-out images than features (64): their Fréchet distance means little"]


def test_real_images_are_better_than_an_untrained_generators(run, generator):
    real = evaluate_quality("digits:test", "digits", encoder=str(run), num_samples=300)
    noise = evaluate_quality(generator, "digits", encoder=str(run), num_samples=300)
    assert real["frechet_distance"] < 0.1 * noise["frechet_distance"]
    assert all(real[name] > noise[name] + 0.1 for name in ("precision", "recall", "density", "coverage"))
    assert 0.4 < real["nearer_than_held_out"] < 0.6


def test_copies_of_training_images_are_found(run):
    result = evaluate_quality("digits:train", "digits", encoder=str(run), num_samples=2000)
    assert result["authenticity"] == 0 and result["nearer_than_held_out"] == 1
    assert result["nearer_to_train"] > 0.55  # a quarter of the training images is compared with all held-out ones


def test_a_checkerboard_is_said(run, tmp_path):
    """Of 90 levels, beyond twice what digits of 8 pixels have; and not where there is none."""
    images = open_images("digits", split="train", image_size=8).read(range(100))
    board = torch.ones(8, 8)
    board[::2, 1::2] = board[1::2, ::2] = -1
    levels = images.float() * 0.25 + 95
    for name, amplitude in (("plain", 0), ("board", 90)):
        (tmp_path / name).mkdir()
        for number, content in enumerate(encode_pngs((levels + amplitude * board).byte().numpy())):
            (tmp_path / name / f"{number:03}.png").write_bytes(content)
    plain, board = (
        evaluate_quality(str(tmp_path / name), "digits", encoder=str(run), num_samples=100)
        for name in ("plain", "board")
    )
    assert board["checkerboard_real"] == plain["checkerboard_real"]
    assert board["checkerboard"] > plain["checkerboard"] + 50
    assert [any("a checkerboard of" in text for text in one["warnings"]) for one in (plain, board)] == [False, True]


def test_scores_go_to_a_side_table_of_the_set(run, shards):
    result = evaluate_quality(shards, "digits", encoder=str(run), num_samples=30, scores="quality")
    plain = evaluate_quality(shards, "digits", encoder=str(run), num_samples=30)
    assert result["num_generated"] == 30  # what is measured is the same with and without
    for name in ("precision", "recall", "density", "coverage", "frechet_distance", "authenticity", "train_distance"):
        assert result[name] == pytest.approx(plain[name], rel=1e-4), name
    # And all samples have a row, of which these are the measures if all are measured.
    whole = evaluate_quality(shards, "digits", encoder=str(run), num_samples=10_000)
    import pyarrow.parquet as pq

    table = pq.read_table(shards / ".synthcl" / "tables" / "quality.parquet").to_pydict()
    assert table["sample_index"] == list(range(40))
    assert len(table["inside"]) == whole["num_generated"] == 40
    with pytest.raises(UsageError, match="is there already, of 40 samples; give --overwrite"):
        evaluate_quality(shards, "digits", encoder=str(run), num_samples=30, scores="quality")
    again = evaluate_quality(shards, "digits", encoder=str(run), num_samples=30, scores="quality", overwrite=True)
    assert again["recorded"] == result["recorded"]  # the same question
    far = open_shard_store(shards, where=f"train_distance > {np.median(table['train_distance'])}")
    assert len(far) == 20


@pytest.fixture
def of_classes(tmp_path):
    """A set of real digits and their classes, but those of 9."""
    digits = open_images("digits", image_size=8, split="train")
    chosen = np.flatnonzero(digits.labels < 9)[:200]
    write_shard_set(
        tmp_path / "set",
        {},
        200,
        100,
        lambda indices: digits.read(chosen[indices])[:, None],
        describe=lambda indices: {"class": digits.labels[chosen[indices]].tolist()},
        workers=0,
    )
    return tmp_path / "set"


def test_each_class_is_measured_by_itself(run, of_classes):
    result = evaluate_quality(of_classes, "digits", encoder=str(run), per_class=True)
    rows = {row["class"]: row for row in result["by_class"]}
    assert sorted(rows) == list(range(10))
    assert rows[9]["num_generated"] == 0 and rows[9]["precision"] is None
    assert sum(row["num_generated"] for row in rows.values()) == 200
    assert any("in 10 of 10 classes" in warning for warning in result["warnings"])
    store = open_shard_store(of_classes, where="class = 3")
    digits = open_images("digits", image_size=8, split="train")
    threes = PartStore(digits, np.flatnonzero(digits.labels == 3))
    encoder = load_encoder(run)
    features = [extract_features(encoder, one, device=torch.device("cpu")) for one in (threes, store)]
    expected = measure_manifold(*features, 5)
    assert rows[3]["precision"] == pytest.approx(expected.precision) and rows[3]["num_real"] == len(threes)
    assert rows[3]["recall"] == pytest.approx(expected.recall)
    assert rows[3]["frechet_distance"] == pytest.approx(frechet_distance(*features), rel=1e-3)


def test_classes_that_are_not_known_are_refused(run, shards):
    with pytest.raises(UsageError, match=r"--per-class: .* has no labels"):
        evaluate_quality(shards, "digits", encoder=str(run), per_class=True)


def test_random_encoders_need_no_run(generator):
    results = [
        evaluate_quality(generator, "digits", encoder="random:resnet10-w8", num_samples=40, seed=seed)
        for seed in (0, 0, 1)
    ]
    assert results[0]["frechet_distance"] == results[1]["frechet_distance"] != results[2]["frechet_distance"]
    assert "fewer images than features" in results[0]["warnings"][0]


@pytest.fixture
def photos(tmp_path, picture):
    """A folder of images that are not square."""
    (tmp_path / "photos").mkdir()
    for number in range(12):
        picture(number, 12, 9).save(tmp_path / "photos" / f"{number}.png")
    return str(tmp_path / "photos")


def test_photos_are_brought_to_the_size_of_the_samples(generator, shards, photos):
    found = [
        evaluate_quality(source, photos, encoder="random:resnet10-w8", num_samples=40)
        for source in (str(generator), str(shards), "digits:test")
    ]
    assert [one["num_real"] for one in found] == [12] * 3
    assert found[0]["checkerboard_real"] is not None  # so that both are of 8 pixels
    with pytest.raises(UsageError, match=r"neither .*photos nor .*photos has images .*; give --encoder RUN"):
        evaluate_quality(photos, photos, encoder="random:resnet10-w8")
    with pytest.raises(DataError, match="nowhere is no shard set, no generator"):
        evaluate_quality("nowhere", photos, encoder="random:resnet10-w8")


def test_an_encoder_that_the_generator_worked_against_is_flagged(run, generator):
    (run / "config.yaml").write_text("data: digits\nonline: true\n")
    result = evaluate_quality(generator, "digits", encoder=str(run), num_samples=40)
    assert any("worked against it" in warning for warning in result["warnings"])


@pytest.mark.parametrize(
    ("source", "options", "error", "message"),
    [
        ("nowhere", {}, DataError, "no shard set, no generator"),
        ("GENERATOR", {"scores": "q"}, UsageError, "--scores is for shard sets"),
        ("GENERATOR", {"overwrite": True}, UsageError, "--overwrite means nothing without --scores"),
        ("GENERATOR", {"encoder": "nowhere"}, DataError, "there is no run"),
        ("GENERATOR", {"encoder": "random:resnet99"}, UsageError, "resnet99"),
        ("GENERATOR", {"num_samples": 4}, DataError, "too few for --k 5"),
        ("GENERATOR", {"held_out_data": "digits:test[:1]"}, DataError, "one held-out image; give two images or more"),
    ],
)
def test_wrong_use_is_named(generator, source, options, error, message):
    source = generator if source == "GENERATOR" else source
    with pytest.raises(error, match=message):
        evaluate_quality(source, "digits", **{"encoder": "random:resnet10-w8", "num_samples": 20, **options})
