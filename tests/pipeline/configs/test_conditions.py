"""Classes and prompts as options give them."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synthcl.pipeline.configs.conditions import MAX_PROMPT, parse_classes, read_prompts
from synthcl.pipeline.errors import DataError, UsageError


@pytest.mark.parametrize(
    ("values", "expected"),
    [([], []), (["3"], [3]), (["0-3"], [0, 1, 2, 3]), (["7", "1-2"], [7, 1, 2]), (["5-5"], [5])],
)
def test_classes_are_numbers_and_ranges(values, expected):
    assert parse_classes(values) == expected


def test_classes_are_read_from_a_file(tmp_path):
    file = tmp_path / "classes.txt"
    file.write_text("12\n\n 3-5 \n")
    assert parse_classes([str(file), "0"]) == [12, 3, 4, 5, 0]
    file.write_text("12\ncat\n")
    with pytest.raises(UsageError, match=rf"--classes 'cat' \(in {file}\) is no class: give a number"):
        parse_classes([str(file)])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["cat"], "--classes 'cat' is no class: give a number, a range such as 0-9"),
        (["-1"], "'-1' is no class"),
        (["1.5"], "'1.5' is no class"),
        (["²"], "'²' is no class"),
        (["9-0"], "--classes 9-0 runs backwards; give 0-9"),
        (["0-99999999999"], "names more than 1,000,000 classes"),
        (["1", "0-3"], "names class 1 2 times"),
    ],
)
def test_what_is_no_class_is_refused(values, message):
    with pytest.raises(UsageError, match=message):
        parse_classes(values)


def test_prompts_are_the_lines_of_a_file(tmp_path):
    file = tmp_path / "prompts.txt"
    file.write_bytes("\ufeffa cat\r\n\n  ein Hund \n鳥\na cat".encode())
    assert read_prompts(file) == ["a cat", "ein Hund", "鳥", "a cat"]


@pytest.mark.parametrize("column", ["prompt", "text", "caption"])
def test_prompts_are_a_column_of_a_parquet_file(tmp_path, column):
    file = tmp_path / "prompts.parquet"
    pq.write_table(pa.table({"id": [1, 2, 3], column: ["a cat", None, " a dog "]}), file)
    assert read_prompts(file) == ["a cat", "a dog"]


def test_a_million_prompts_are_read(tmp_path):
    file = tmp_path / "prompts.txt"
    file.write_text("\n".join(f"a photo of the number {i}" for i in range(1_000_000)))
    prompts = read_prompts(file)
    assert len(prompts) == 1_000_000 and prompts[-1] == "a photo of the number 999999"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no prompts"),
        (b"\n \n", "holds no prompts"),
        (b"a cat\na \x00 dog", "line 2 holds a control character"),
        (b"a \x1b[31m cat", "line 1 holds a control character"),
        (b"a cat\n\n\xff\xfe", "line 3 is not UTF-8"),
        (b"x" * (MAX_PROMPT + 1), "line 1 has 2,001 characters; a prompt has at most 2,000"),
    ],
)
def test_what_is_no_prompt_is_refused_with_its_line(tmp_path, content, message):
    file = tmp_path / "prompts.txt"
    file.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_prompts(file)


def test_parquet_without_text_is_refused(tmp_path):
    file = tmp_path / "prompts.parquet"
    pq.write_table(pa.table({"id": [1]}), file)
    with pytest.raises(DataError, match="has no column prompt, text or caption; it has id"):
        read_prompts(file)
    pq.write_table(pa.table({"text": [1]}), file)
    with pytest.raises(DataError, match="column text holds int64, not text"):
        read_prompts(file)
    file.write_bytes(b"PAR1")
    with pytest.raises(DataError, match="cannot read --prompts"):
        read_prompts(file)


def test_a_prompt_of_a_parquet_file_that_is_no_text_is_refused(tmp_path):
    file = tmp_path / "prompts.parquet"
    pq.write_table(pa.table({"text": ["a cat", "a \x00 dog"]}), file)
    with pytest.raises(DataError, match="line 2 holds a control character; prompts are plain text"):
        read_prompts(file)
    _, ends, data = pa.array([b"a cat", b"a \xff dog"]).buffers()
    pq.write_table(pa.table({"text": pa.StringArray.from_buffers(2, ends, data)}), file)
    with pytest.raises(DataError, match=r"column text is not UTF-8 somewhere after row 0 \(invalid start byte\)"):
        read_prompts(file)


def test_a_file_that_is_not_there_is_wrong_usage(tmp_path):
    with pytest.raises(UsageError, match="there is no such file; give a text file with a prompt a line"):
        read_prompts(tmp_path / "none.txt")
