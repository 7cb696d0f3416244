"""SPECs: taken apart, expanded, and told what is wrong with them."""

from pathlib import Path

import pytest

from synthcl.pipeline.data.specs import (
    Spec,
    choose_split,
    expand_braces,
    expand_pattern,
    group_by_split,
    held_out_split,
    parse_spec,
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
    with pytest.raises(UsageError, match=r"no file matches .*3.tar \(of"):
        expand_pattern(f"{tmp_path}/{{0..3}}.tar")
    with pytest.raises(UsageError, match="no file matches"):
        expand_pattern(f"{tmp_path}/*.parquet")
