"""Parquet: any number of files and row groups, the usual columns, and rows named when they are bad."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from synthcl.pipeline.data import open_images, parquet
from synthcl.pipeline.data.sources import may_have_labels
from synthcl.pipeline.errors import DataError, UsageError
from synthcl.pipeline.evaluation.task import labels_of
from synthcl.pipeline.images.decoding import decode_images


@pytest.fixture
def jpegs(picture, encode):
    return [encode(picture(seed), "JPEG") for seed in range(11)]


@pytest.mark.parametrize("cache_bytes", [0, 10**9])
def test_random_access_over_files_and_row_groups(tmp_path, jpegs, write_parquet, monkeypatch, cache_bytes):
    monkeypatch.setattr(parquet, "available_ram", lambda: cache_bytes)
    write_parquet(tmp_path / "train-00000-of-00002.parquet", jpegs[:7], list(range(7)))
    write_parquet(tmp_path / "train-00001-of-00002.parquet", jpegs[7:], list(range(7, 11)))
    store = open_images(str(tmp_path))
    assert len(store) == 11
    np.testing.assert_array_equal(store.labels, np.arange(11))
    order = [10, 0, 7, 6, 3, 3, 2, 8, 1]
    assert torch.equal(store.read(order), decode_images(jpegs)[order])
    assert store.keys([6, 7]) == ["train-00000-of-00002.parquet:6", "train-00001-of-00002.parquet:0"]
    assert len(store._cache) == (1 if cache_bytes == 0 else 5)
    store.release()
    assert not store._cache
    assert torch.equal(store.read([4]), decode_images(jpegs[4:5]))


def test_splits_from_file_names_and_one_file(tmp_path, jpegs, write_parquet):
    write_parquet(tmp_path / "data" / "train-0.parquet", jpegs[:5])
    write_parquet(tmp_path / "data" / "validation-0.parquet", jpegs[5:])
    assert len(open_images(str(tmp_path))) == 5
    assert len(open_images(f"{tmp_path}:validation")) == 6
    assert len(open_images(f"{tmp_path}:val")) == 6
    one = open_images(str(tmp_path / "data" / "validation-0.parquet"))
    assert len(one) == 6
    assert one.labels is None


@pytest.mark.parametrize("column", ["img", "image", "picture"])
def test_image_columns(tmp_path, jpegs, write_parquet, column):
    store = open_images(str(write_parquet(tmp_path / "a.parquet", jpegs, column=column)))
    assert torch.equal(store.read(range(11)), decode_images(jpegs))


def test_a_plain_binary_column(tmp_path, jpegs):
    pq.write_table(pa.table({"id": list(range(11)), "image": jpegs, "fine_label": [4] * 11}), tmp_path / "a.parquet")
    store = open_images(str(tmp_path / "a.parquet"))
    assert torch.equal(store.read([5]), decode_images([jpegs[5]]))
    np.testing.assert_array_equal(store.labels, [4] * 11)


def test_class_names_from_the_metadata_of_datasets(tmp_path, jpegs, write_parquet):
    features = {"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}
    path = write_parquet(tmp_path / "a.parquet", jpegs[:2], [1, 0], metadata={"huggingface": json.dumps(features)})
    assert open_images(str(path)).class_names == ["cat", "dog"]


def test_words_as_labels_are_numbered_over_all_splits(tmp_path, jpegs, write_parquet):
    write_parquet(tmp_path / "train-0.parquet", jpegs[:2], ["owl", "ant"])
    write_parquet(tmp_path / "test-0.parquet", jpegs[:2], ["owl", "cat"])
    test = open_images(f"{tmp_path}:test")
    assert test.class_names == ["ant", "cat", "owl"]
    np.testing.assert_array_equal(test.labels, [2, 1])


def test_numbers_of_one_split_are_words_if_another_has_words(tmp_path, jpegs, write_parquet):
    write_parquet(tmp_path / "train-0.parquet", jpegs[:4], ["0", "7", "a", "b"])
    write_parquet(tmp_path / "test-0.parquet", jpegs[:2], ["7", "0"])
    test = open_images(f"{tmp_path}:test")
    assert test.class_names == ["0", "7", "a", "b"] and test.labels.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("labels", "numbers"),
    [
        ([3, 0, 3], [3, 0, 3]),
        ([True, False, True], [1, 0, 1]),
        ([2.0, 0.0, 1.0], [2, 0, 1]),
        (["7", "0", "7"], [7, 0, 7]),
    ],
)
def test_whole_numbers_are_labels_in_every_type(tmp_path, jpegs, write_parquet, labels, numbers):
    store = open_images(str(write_parquet(tmp_path / "a.parquet", jpegs[:3], labels)))
    assert store.labels.tolist() == numbers and store.class_names is None and store.labels_problem is None


def test_words_may_be_a_dictionary(tmp_path, jpegs):
    words = pa.array(["owl", "ant", "owl"]).dictionary_encode()
    pq.write_table(pa.table({"image": jpegs[:3], "label": words}), tmp_path / "a.parquet")
    store = open_images(str(tmp_path / "a.parquet"))
    assert store.labels.tolist() == [1, 0, 1] and store.class_names == ["ant", "owl"]


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        ([0.2, 0.7, 1.9], "its column 'label' holds 0.2; labels are whole numbers or words"),
        ([1.0, float("nan"), 2.0], "its column 'label' holds nan; labels are whole numbers or words"),
        (
            [[0, 1], [2], []],
            "its column 'label' is of the type list<element: int64>; labels are whole numbers or words",
        ),
        ([{"a": 1}] * 3, "its column 'label' is of the type struct<a: int64>; labels are whole numbers or words"),
        ([b"1", b"2", b"3"], "its column 'label' is of the type binary; labels are whole numbers or words"),
        ([0, None, 1], "its column 'label' is empty in 1 of 3 rows"),
        ([None] * 3, "its column 'label' is empty in 3 of 3 rows"),
    ],
)
def test_what_is_no_label_is_said_where_labels_are_needed(tmp_path, jpegs, write_parquet, labels, problem):
    path = str(write_parquet(tmp_path / "a.parquet", jpegs[:3], labels))
    store = open_images(path)
    assert len(store.read([0, 1, 2])) == 3 and store.labels is None and store.class_names is None
    assert store.labels_problem == problem and open_images(f"{path}[:2]").labels_problem == problem
    with pytest.raises(DataError) as error:
        labels_of(store)
    assert str(error.value) == f"{path} has no labels that can be used ({problem}), which this evaluation needs"
    with pytest.raises(UsageError, match=r"has no labels that can be used \(its column 'label' .*\) to balance"):
        open_images(f"{path}[:2,balanced]")


def test_a_truncated_jpeg_in_the_middle_is_named(tmp_path, jpegs, write_parquet):
    jpegs[4] = jpegs[4][:-20]
    store = open_images(str(write_parquet(tmp_path / "a.parquet", jpegs)), image_size=16)
    store.read([0, 1, 2, 3, 5])
    with pytest.raises(DataError, match=r"cannot read row 4 of .*a.parquet: it is truncated"):
        store.read([5, 6, 4, 0])


def test_a_row_without_bytes_is_named(tmp_path, jpegs, write_parquet):
    jpegs[9] = None
    path = write_parquet(tmp_path / "a.parquet", jpegs)
    with pytest.raises(DataError, match=r"row 9 of .*a.parquet holds no image bytes"):
        open_images(str(path), image_size=16).read([9])


def test_no_image_column_lists_the_columns(tmp_path):
    pq.write_table(pa.table({"text": ["a"], "label": [1]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"a.parquet has no image column .* text \(string\), label \(int64\)"):
        open_images(str(tmp_path / "a.parquet"))


def test_damaged_and_empty_files(tmp_path, jpegs, write_parquet):
    path = write_parquet(tmp_path / "a.parquet", jpegs)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"a.parquet is no Parquet file, or a damaged one"):
        open_images(str(path))
    with pytest.raises(DataError, match="has no rows"):
        open_images(str(write_parquet(tmp_path / "b.parquet", [])))


def test_a_damaged_page_is_named(tmp_path, jpegs):
    path = tmp_path / "a.parquet"
    table = pa.table({"image": pa.array(jpegs, pa.binary())})
    pq.write_table(table, path, row_group_size=3, compression="zstd", use_dictionary=False)
    store = open_images(str(path), image_size=16)
    column = pq.ParquetFile(path).metadata.row_group(2).column(0)
    data = bytearray(path.read_bytes())
    start = column.data_page_offset
    data[start : start + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"row group 2 of .*a.parquet is damaged"):
        store.read([7])


@pytest.mark.parametrize(
    ("labels", "lack"), [(None, True), ([3] * 11, False), ([[1, 2]] * 11, True)], ids=["none", "numbers", "lists"]
)
def test_a_look_at_the_schema_tells_whether_there_are_labels(tmp_path, jpegs, write_parquet, labels, lack):
    write_parquet(tmp_path / "train-0.parquet", jpegs, labels)
    write_parquet(tmp_path / "test-0.parquet", jpegs)
    assert may_have_labels(str(tmp_path)) != lack
    assert lack == (open_images(str(tmp_path)).labels is None)
    assert not may_have_labels(f"{tmp_path}:test")
