"""SPECs: taken apart, expanded, and told what is wrong with them."""

from pathlib import Path

import pytest

from synthcl.pipeline.data.slices import Bound, Slice
from synthcl.pipeline.data.specs import (
    Spec,
    choose_split,
    expand_braces,
    expand_pattern,
    group_by_split,
    held_out_split,
    parse_spec,
    refuse_part,
    same_source,
    split_of_file,
)
from synthcl.pipeline.errors import UsageError


def test_parse(tmp_path):
    assert parse_spec("cifar10") == Spec("cifar10", None)
    assert parse_spec("cifar10:test") == Spec("cifar10", "test")
    assert parse_spec("data/a:b/x.tar") == Spec("data/a:b/x.tar", None)
    assert parse_spec("data/a:b/x.tar:val") == Spec("data/a:b/x.tar", "val")
    odd = tmp_path / "a:train"
    odd.mkdir()
    assert parse_spec(str(odd)) == Spec(str(odd), None)
    with pytest.raises(UsageError, match="empty"):
        parse_spec("")
    with pytest.raises(UsageError, match="ends in a colon"):
        parse_spec("cifar10:")


THREE = Slice(None, Bound(3))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("digits[:3]", Spec("digits", None, THREE)),
        ("digits:test[:3]", Spec("digits", "test", THREE)),
        ("photos[:3]", Spec("photos", None, THREE)),
        ("photos/:val[:3]", Spec("photos/", "val", THREE)),
        ("photos/*.png[:3]", Spec("photos/*.png", None, THREE)),
        ("photos/{0..1}.png[:3]", Spec("photos/{0..1}.png", None, THREE)),
        # Characters to match, since nothing is called as what stands before them.
        ("photos/[0:3].png", Spec("photos/[0:3].png", None)),
        ("photos/*.pn[g]", Spec("photos/*.pn[g]", None)),
        ("photos/*[g]", Spec("photos/*[g]", None)),
        ("a[0:3]", Spec("a[0:3]", None)),
        ("photos/[0:3].png[:3]", Spec("photos/[0:3].png", None, THREE)),
        # Paths that are there as they stand.
        ("odd[:3]", Spec("odd[:3]", None)),
        ("odd[:3]:val", Spec("odd[:3]", "val")),
        ("odd[:3][:3]", Spec("odd[:3]", None, THREE)),
        ("odd[:3]:val[:3]", Spec("odd[:3]", "val", THREE)),
        ("~/photos[:3]", Spec("~/photos", None, THREE)),
        ("~/odd[:3]", Spec("~/odd[:3]", None)),
        # Nothing is there: what it would have been.
        ("fotos[:3]", Spec("fotos", None, THREE)),
        ("fotos[ab]", Spec("fotos[ab]", None)),
    ],
)
def test_brackets_are_a_part_or_belong_to_the_path(tmp_path, monkeypatch, spec, expected):
    for folder in ("photos", "odd[:3]", "cifar100"):
        (tmp_path / folder).mkdir()
    for file in ("photos/0.png", "photos/1.png", "a0"):
        (tmp_path / file).touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert parse_spec(spec) == expected


def test_a_folder_that_the_brackets_would_match_does_not_hide_a_data_set(tmp_path, monkeypatch):
    (tmp_path / "cifar100").mkdir()
    monkeypatch.chdir(tmp_path)
    assert parse_spec("cifar10[0:100]") == Spec("cifar10", None, Slice(Bound(0), Bound(100)))


@pytest.mark.parametrize("spec", ["digits[5]", "digits[]", "digits[ab]", "digits:train[10%]"])
def test_brackets_after_what_is_there_are_no_pattern(spec):
    with pytest.raises(UsageError, match="has no slice START:STOP in its brackets"):
        parse_spec(spec)


def test_a_colon_before_a_part_needs_a_split():
    with pytest.raises(UsageError, match="'cifar10:' ends in a colon"):
        parse_spec("cifar10:[:10%]")


@pytest.mark.parametrize(
    ("spec", "other", "same"),
    [
        ("digits", "digits:test[:10%,balanced]", True),
        ("photos/:train", "./photos:val[5:]", True),
        ("photos", "other/photos", False),
        ("digits", "./digits", False),  # a folder that is called as a set is
        ("hf://datasets/a/b:train", "hf://datasets/a/b", True),
        ("hf://datasets/a/b", "hf://datasets/a/c", False),
    ],
)
def test_two_specs_may_name_one_source(tmp_path, monkeypatch, spec, other, same):
    monkeypatch.chdir(tmp_path)
    assert same_source(spec, other) is same
    assert same_source("photos", f"{tmp_path}/photos")


def test_sets_of_shards_take_no_part(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "odd[:3]").mkdir()
    for path in ("shards/c10", "odd[:3]", "s3://bucket/c10", "shards/c[12]"):
        refuse_part("--shards", path)
    for path in ("shards/c10[:10%]", "s3://bucket/c10[:10%]", "shards/c10[:10,balanced]"):
        with pytest.raises(UsageError, match=r"--shards .*c10\[:10.*give --shards .*c10 with --where"):
            refuse_part("--shards", path)


def test_default_split():
    assert choose_split(Spec("x", None), ["train", "test"], None) == "train"
    assert choose_split(Spec("x", None), ["train", "test"], "test") == "test"
    assert choose_split(Spec("x", "train"), ["train", "test"], "test") == "train"
    assert choose_split(Spec("x", None), [], "test") is None
    assert choose_split(Spec("x", None), ["test"], None) == "test"
    assert choose_split(Spec("x", "validation"), ["train", "val"], None) == "val"


@pytest.mark.parametrize(
    ("spec", "splits", "default", "words"),
    [
        (Spec("x", "tset"), ["train", "test"], None, "no split 'tset': there are train, test"),
        (Spec("x", "test"), [], None, "no split 'test': it has no splits"),
        (Spec("x", None), ["train"], "test", "no split 'test': there are train"),
        (Spec("x", None), ["test", "val"], "train", "no split 'train': there are test, val"),
    ],
)
def test_unknown_splits(spec, splits, default, words):
    with pytest.raises(UsageError, match=words):
        choose_split(spec, splits, default)


def test_held_out_is_test_before_validation():
    assert held_out_split(["train", "val", "test"]) == "test"
    assert held_out_split(["train", "valid"]) == "valid"
    assert held_out_split(["train", "unlabeled"]) is None
    assert held_out_split([]) is None


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("train-00000-of-00002.parquet", "train"),
        ("test.parquet", "test"),
        ("val_0.tar", "val"),
        ("Validation-0.tar", "validation"),
        ("training0.tar", "training"),
        ("a/val/000.tar", "val"),
        ("trainer-0.tar", None),
        ("000000.tar", None),
        ("my-train-0.tar", None),
    ],
)
def test_split_of_file(path, split):
    assert split_of_file(Path(path)) == split


def test_files_with_and_without_a_split_are_not_mixed():
    with pytest.raises(UsageError, match=r"train-0.tar.*extra.tar"):
        group_by_split([Path("train-0.tar"), Path("extra.tar")], "x")


def test_braces():
    assert list(expand_braces("a{08..11}.tar")) == ["a08.tar", "a09.tar", "a10.tar", "a11.tar"]
    assert list(expand_braces("{8..10}")) == ["8", "9", "10"]
    assert list(expand_braces("{a,b}{1..2}")) == ["a1", "a2", "b1", "b2"]
    for wrong in ("{5..3}", "{0..99999999999}"):
        with pytest.raises(UsageError, match="empty or longer"):
            list(expand_braces(wrong))


def test_patterns(tmp_path):
    for name in ("0.tar", "1.tar", "2.tar"):
        (tmp_path / name).touch()
    assert [p.name for p in expand_pattern(f"{tmp_path}/*.tar")] == ["0.tar", "1.tar", "2.tar"]
    assert [p.name for p in expand_pattern(f"{tmp_path}/{{2,0}}.tar")] == ["2.tar", "0.tar"]
    with pytest.raises(UsageError, match=r"no file matches digits\[:10%; a part in brackets ends with \]"):
        expand_pattern("digits[:10%")
    with pytest.raises(UsageError, match=r"no file matches .*3.tar \(of"):
        expand_pattern(f"{tmp_path}/{{0..3}}.tar")
    with pytest.raises(UsageError, match="no file matches"):
        expand_pattern(f"{tmp_path}/*.parquet")
