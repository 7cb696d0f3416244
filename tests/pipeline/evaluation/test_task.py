import numpy as np
import pytest
import torch

from synthcl.pipeline.errors import DataError, UsageError
from synthcl.pipeline.evaluation import task as module
from synthcl.pipeline.evaluation.task import find_home, open_task


@pytest.fixture
def sources(monkeypatch):
    """Stores by SPEC, instead of what is on disk."""
    stores = {}

    def open_images(spec, *, image_size, split, data_root=None):
        name = spec if spec in stores else f"{spec}:{split}"
        if name not in stores:
            raise UsageError(f"there is no {spec}")
        return stores[name]

    monkeypatch.setattr(module, "open_images", open_images)
    monkeypatch.setattr(module, "test_spec", lambda spec: f"{spec}:test" if f"{spec}:test" in stores else None)
    return stores


@pytest.fixture
def task(sources, make_store, run):
    sources["a:train"], sources["a:test"] = make_store("a:train"), make_store("a:test", seed=1, num_images=30)
    return lambda data="a", **options: open_task(run, data, **options)


def test_train_and_test_split_are_the_default(task, run):
    opened = task()
    assert (opened.train.name, opened.test.name, opened.home) == ("a:train", "a:test", run)
    assert opened.classes == ["0", "1", "2"] and opened.num_classes == 3
    assert torch.equal(opened.subset, torch.arange(60)) and not opened.warnings


def test_a_source_without_a_test_split_asks_for_one(task, sources, make_store):
    sources["b"] = make_store("b", seed=2)
    with pytest.raises(UsageError, match="--test-data"):
        task("b")
    assert task("b", test_data="a:test").test.name == "a:test"


def test_labels_are_matched_by_name_where_both_have_names(task, sources, make_store):
    sources["n:train"] = make_store("n:train", class_names=["cat", "dog", "eel"])
    sources["n:test"] = make_store("n:test", seed=1, class_names=["eel", "cat", "dog"])
    opened = task("n")
    assert opened.classes == ["cat", "dog", "eel"]
    assert opened.train_labels[:3].tolist() == [0, 1, 2] and opened.test_labels[:3].tolist() == [2, 0, 1]


def test_sparse_numbers_become_classes(task, sources, make_store):
    for split in ("train", "test"):
        sources[f"s:{split}"] = make_store(f"s:{split}", seed=len(split))
        sources[f"s:{split}"].labels = np.array([5, 900, 7])[sources[f"s:{split}"].labels]
    opened = task("s")
    assert opened.classes == ["5", "7", "900"] and opened.test_labels[:3].tolist() == [0, 2, 1]


def test_classes_that_training_lacks_are_refused(task, sources, make_store):
    sources["m:test"] = make_store("m:test", num_classes=4)
    with pytest.raises(DataError, match=r"m:test has classes that a:train lacks: 3"):
        task(test_data="m:test")


@pytest.mark.parametrize("which", ["train", "test"])
def test_images_without_labels_are_refused(task, sources, make_store, which):
    sources[f"a:{which}"] = make_store(f"a:{which}", labels=False)
    with pytest.raises(DataError, match=f"a:{which} has no labels"):
        task()


def test_images_partly_without_labels_are_refused(task, sources):
    sources["a:train"].labels = np.where(np.arange(60) < 2, -1, sources["a:train"].labels)
    with pytest.raises(DataError, match="2 of the 60 images of a:train have no label"):
        task()


def test_one_class_is_refused(task, sources, make_store):
    for split in ("train", "test"):
        sources[f"o:{split}"] = make_store(f"o:{split}", num_classes=1)
    with pytest.raises(DataError, match="same label"):
        task("o")


def test_the_training_split_is_flagged_however_it_is_called(task, sources, make_store):
    sources["copy"] = make_store("copy")
    opened = task(test_data="copy")
    assert opened.scored_on_training_split and "copy" in opened.warnings[0]


def test_a_part_is_scored_on_the_whole_test_split(run):
    opened = open_task(run, "digits[:10%]")
    assert (opened.train.name, len(opened.train)) == ("digits:train[:10%]", 144)
    assert (opened.test.name, len(opened.test), opened.warnings) == ("digits:test", 355, [])


@pytest.mark.parametrize(
    ("fitted", "scored", "words"),
    [
        ("digits[:50%]", "digits:train[:721]", "digits:train[:721], the very images that the probe is fitted to"),
        ("digits", "digits:train[:10]", "digits:train[:10], the very images that the probe is fitted to"),
        ("digits[:20]", "digits:train", "digits:train, 20 of whose 1,442 images are among those that the probe is fit"),
        ("digits[:50%]", "digits:train[40%:]", "144 of whose 865 images are among those that the probe is fitted to"),
        ("digits:test", "digits:train[40%:]", "the very images that the encoder was trained on"),
    ],
)
def test_parts_that_overlap_are_flagged(run, fitted, scored, words):
    opened = open_task(run, fitted, test_data=scored)
    assert opened.scored_on_training_split and words in opened.warnings[0] and len(opened.warnings) == 1


def test_images_of_a_part_that_the_encoder_was_trained_on_are_counted(run):
    (run / "config.yaml").write_text("data: 'digits[:20]'\n")
    opened = open_task(run, "digits:test", test_data="digits:train[10:]")
    assert "10 of whose 1,432 images are among those that the encoder was trained on" in opened.warnings[0]
    opened = open_task(run, "digits:train[:80%,shuffled]", test_data="digits:train[80%:,shuffled]")
    assert "encoder was trained on" in opened.warnings[0]  # and not: that the probe is fitted to
    (run / "config.yaml").write_text("data: 'digits[:80%,shuffled]'\n")
    assert not open_task(run, "digits[:80%,shuffled]", test_data="digits:train[80%:,shuffled]").warnings


def test_a_part_of_the_test_split_has_none_to_be_scored_on(run):
    with pytest.raises(
        UsageError, match=r"digits:test\[:50%\] has no test .* --test-data SPEC, which may be another part"
    ):
        open_task(run, "digits:test[:50%]")


def test_a_part_without_some_classes_says_how_to_get_all(run, tmp_path):
    from PIL import Image

    for i in range(12):
        (tmp_path / f"photos/{i // 4}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), i, np.uint8)).save(tmp_path / f"photos/{i // 4}/{i}.png")
    photos = f"{tmp_path}/photos"
    for part, words in (
        ("[:8]", "has classes that .* lacks: 2; .*; write ,balanced"),
        ("[:4]", "same label; .*; write ,bal"),
    ):
        with pytest.raises(DataError, match=words):
            open_task(run, photos + part, test_data=photos + ("[8:]" if part == "[:8]" else part))
    opened = open_task(run, f"{photos}[:6,balanced]", test_data=f"{photos}[6:,balanced]")
    assert opened.train_labels.bincount().tolist() == opened.test_labels.bincount().tolist() == [2, 2, 2]


def test_images_that_the_encoder_was_trained_on_are_flagged(task, sources, run):
    (run / "config.yaml").write_text("data: a:test\n")
    opened = task()
    assert opened.scored_on_training_split and "encoder was trained on" in opened.warnings[0]


def test_fractions_and_untrained_weights_follow_the_seed(task, encoder):
    subsets = [task(label_fraction=0.1, seed=seed).subset.tolist() for seed in (0, 0, 1)]
    assert subsets[0] == subsets[1] != subsets[2] and len(subsets[0]) == 6
    hashes = [task(untrained=True, seed=seed).encoder.weights_hash() for seed in (5, 5, 6)]
    assert hashes[0] == hashes[1] != hashes[2] and encoder.weights_hash() not in hashes


def test_home_is_the_run_or_the_encoder(run, encoder, tmp_path):
    encoder.save(tmp_path / "alone")
    assert find_home(run) == find_home(run / "encoder") == run
    assert find_home(tmp_path / "alone") == tmp_path / "alone"
