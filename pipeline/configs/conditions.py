"""What samples are to be drawn for, as options give it: classes by number, prompts in a file. Imports no torch."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import DataError, UsageError

MAX_CLASSES = 1_000_000
"""Classes that one range may name. Ours: far more than any pipeline knows."""
MAX_PROMPT = 2_000
"""Characters of a prompt. Ours: CLIP's encoder reads 77 tokens, and a longer line is hardly a prompt."""
MAX_PROMPTS_BYTES = 1 << 31
"""The largest file of prompts that is read, in bytes. Ours: some twenty million prompts."""
PROMPT_COLUMNS = ("prompt", "text", "caption")
"""The columns of a Parquet file that prompts are read from, the first that is there."""
_RANGE = re.compile(r"(\d+)-(\d+)")


def parse_classes(values: Sequence[str]) -> list[int]:
    """The classes that `--classes` names: each value is a number, a range such as `0-9`, or a text file of such, one a
    line.

    Raises:
        UsageError: a value that is none of these, a range that runs backwards, or a class that is named twice.
    """
    found: list[int] = []
    for value in values:
        words = _lines(value) if not _number_or_range(value) and Path(value).is_file() else [value]
        for word in words:
            found += _classes(word, value)
    (most, count), *_ = Counter(found).most_common(1) or [(0, 0)]
    if count > 1:
        raise UsageError(f"--classes names class {most} {count} times; name each class once")
    return found


def _number_or_range(word: str) -> bool:
    return word.isdecimal() or _RANGE.fullmatch(word) is not None


def _classes(word: str, value: str) -> Sequence[int]:
    where = "" if word == value else f" (in {value})"
    if word.isdecimal() and word.isascii():
        return [int(word)]
    match = _RANGE.fullmatch(word)
    if match is None or not word.isascii():
        raise UsageError(
            f"--classes {word!r}{where} is no class: give a number, a range such as 0-9, or a text file with one of "
            "them a line"
        )
    first, last = int(match[1]), int(match[2])
    if last < first:
        raise UsageError(f"--classes {word}{where} runs backwards; give {last}-{first}")
    if last - first >= MAX_CLASSES:
        raise UsageError(f"--classes {word}{where} names more than {MAX_CLASSES:,} classes")
    return range(first, last + 1)


def _lines(path: str) -> list[str]:
    return [text for _, text in _text_lines(Path(path), "--classes")]


def read_prompts(file: str | Path) -> list[str]:
    """The prompts in a file: a text file with one a line (empty lines do not count), or a column of a Parquet file.

    Raises:
        UsageError: there is no such file.
        DataError: it holds no prompts, or one that is no text: control characters, bytes that are not UTF-8, or more
            characters than a prompt has. The error names the line.
    """
    path = Path(file)
    if not path.is_file():
        raise UsageError(
            f"--prompts {file}: there is no such file; give a text file with a prompt a line, or a Parquet file"
        )
    if path.stat().st_size > MAX_PROMPTS_BYTES:
        raise DataError(
            f"--prompts {file} has {path.stat().st_size:,} bytes, more than the {MAX_PROMPTS_BYTES:,} that are read"
        )
    rows = _parquet_rows(path) if path.suffix.lower() == ".parquet" else _text_lines(path, "--prompts")
    prompts = [_checked(text, number, file) for number, text in rows]
    if not prompts:
        raise DataError(f"--prompts {file} holds no prompts; give one a line")
    return prompts


def _text_lines(path: Path, option: str) -> Iterator[tuple[int, str]]:
    """The lines that are not empty, with their numbers from 1."""
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                if text:
                    yield number, text
    except UnicodeDecodeError as error:
        raise DataError(
            f"{option} {path}: line {number} is not UTF-8 ({error.reason}); save the file as UTF-8"
        ) from None
    except OSError as error:
        raise DataError(f"cannot read {option} {path}: {error.strerror}") from None


def _parquet_rows(path: Path) -> Iterator[tuple[int, str]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        names = file.schema_arrow.names
        column = next((name for name in PROMPT_COLUMNS if name in names), None)
        if column is None:
            raise DataError(
                f"--prompts {path} has no column {', '.join(PROMPT_COLUMNS[:-1])} or {PROMPT_COLUMNS[-1]}; it has "
                f"{', '.join(names)}"
            )
        number = 0
        for batch in file.iter_batches(columns=[column]):
            if not pa.types.is_string(batch.schema[0].type) and not pa.types.is_large_string(batch.schema[0].type):
                raise DataError(f"--prompts {path}: column {column} holds {batch.schema[0].type}, not text")
            try:
                values = batch.column(0).to_pylist()
            except UnicodeDecodeError as error:  # a file may say that any bytes are text
                raise DataError(
                    f"--prompts {path}: column {column} is not UTF-8 somewhere after row {number:,} ({error.reason}); "
                    "write it as UTF-8"
                ) from None
            for value in values:
                number += 1
                if value is not None and value.strip():
                    yield number, value.strip()
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"cannot read --prompts {path}: {str(error).splitlines()[0]}") from None


def _checked(text: str, number: int, file: str | Path) -> str:
    if len(text) > MAX_PROMPT:
        raise DataError(
            f"--prompts {file}: line {number} has {len(text):,} characters; a prompt has at most {MAX_PROMPT:,}"
        )
    if not text.isprintable() and any(not one.isprintable() and not one.isspace() and ord(one) < 0xA0 for one in text):
        raise DataError(f"--prompts {file}: line {number} holds a control character; prompts are plain text")
    return text
