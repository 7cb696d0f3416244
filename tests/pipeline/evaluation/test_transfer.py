"""The linear probe on several sets: those that are given, and a suite of stand-ins."""

import pytest

from synthcl.pipeline.configs.evaluate import TransferConfig
from synthcl.pipeline.data.catalogue import MEAN_PER_CLASS, SUITES, TOP1
from synthcl.pipeline.errors import DataError
from synthcl.pipeline.evaluation import evaluate_linear, evaluate_transfer, linear, transfer
from synthcl.pipeline.evaluation.transfer import TransferSet, notes, transfer_sets

FINE = SUITES["fine-grained"]


@pytest.fixture
def root(tmp_path, stand_in, no_internet):
    """A folder with the sets of `fine-grained`."""
    for dataset in FINE.sets:
        stand_in(tmp_path / "data", dataset)
    return tmp_path / "data"


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(linear, "L2_GRID", (0.1,))
    monkeypatch.setattr(linear, "FEW_SAMPLES", 0)


def test_transfer_is_a_probe_on_each_set(run):
    result = evaluate_transfer(
        run, ["digits", "digits"], test_data=["digits:test", "digits:train"], label_fraction=0.05
    )
    one, other = result["results"]
    assert one["top1"] == one["score"] == evaluate_linear(run, "digits", label_fraction=0.05)["top1"]
    assert result["top1"] == result["score"] == pytest.approx((one["top1"] + other["top1"]) / 2)
    assert other["scored_on_training_split"] and not one["scored_on_training_split"]
    assert result["num_test"] == one["num_test"] + other["num_test"]


def test_a_set_has_its_own_measure():
    given = TransferConfig(data=["digits", "oxford-pets:train[:50%]", "photos/"], test_data=["a", "b", "c"])
    assert transfer_sets(given) == [
        TransferSet("digits", "a", TOP1),
        TransferSet("oxford-pets:train[:50%]", "b", MEAN_PER_CLASS),
        TransferSet("photos/", "c", TOP1),
    ]
    assert transfer_sets(TransferConfig(suite="vtab-like"))[3] == TransferSet(
        "flowers102:trainval[:1000,balanced]", "flowers102:test", TOP1
    )


def test_splits_of_ours_are_said():
    (note,) = notes(transfer_sets(TransferConfig(data=["digits", "caltech101"])))
    assert note.startswith("caltech101: 30 images of a class, drawn by us")


def test_a_suite_is_a_probe_on_each_of_its_sets_by_its_own_measure(run, root, quick):
    result = evaluate_transfer(run, suite="fine-grained", data_root=str(root))
    assert [row["data"] for row in result["results"]] == [data for data, _ in FINE.specs()]
    assert [row["metric"] for row in result["results"]] == FINE.metrics()
    assert [row["score"] for row in result["results"]] == [row[row["metric"]] for row in result["results"]]
    assert result["score"] == pytest.approx(sum(row["score"] for row in result["results"]) / 5)
    assert [row["num_train"] for row in result["results"]] == [12, 12, 24, 12, 24] and result["suite"] == "fine-grained"
    assert result["notes"] == ["fgvc-aircraft: the 100 variants"]
    assert min(row["score"] for row in result["results"]) > 0.5  # chance is a third


def test_a_suite_with_sets_missing_is_refused_before_anything_is_computed(run, root, monkeypatch):
    (root / "food-101").rename(root / "elsewhere")
    (root / "oxford-iiit-pet" / "annotations" / "test.txt").unlink()
    monkeypatch.setattr(transfer, "evaluate_linear", lambda *_, **__: pytest.fail("it was computed"))
    with pytest.raises(DataError) as caught:
        evaluate_transfer(run, suite="fine-grained", data_root=str(root))
    words = str(caught.value)
    assert words.startswith(
        "--suite fine-grained cannot be evaluated, since 2 of its 5 sets cannot be used (food101, oxford-pets): "
        f"food101 is not in {root} and could not be downloaded"
    )
    assert "--data-root" in words and not (run / "evaluations").exists()


def test_where_a_set_is_published_no_more_nothing_is_downloaded(run, tmp_path, monkeypatch):
    import urllib.request

    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: pytest.fail("something was downloaded"))
    with pytest.raises(DataError, match=r"\(stanford-cars\): stanford-cars is not in .* withdrawn"):
        evaluate_transfer(run, suite="natural", data_root=str(tmp_path))


def test_one_set_that_is_given_and_missing_is_told_by_itself(run, tmp_path, no_internet):
    with pytest.raises(DataError, match=r"^dtd is not in"):
        evaluate_transfer(run, ["digits", "dtd"], data_root=str(tmp_path))
    words = r"--data cannot be evaluated, since 2 of its 3 sets cannot be used \(dtd, eurosat\): dtd is not in"
    with pytest.raises(DataError, match=words):
        evaluate_transfer(run, ["digits", "dtd", "eurosat"], data_root=str(tmp_path))
