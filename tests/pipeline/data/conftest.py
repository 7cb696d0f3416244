"""Containers of images, made on the spot."""

import io
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synthcl.pipeline.data import decoded


@pytest.fixture
def write_tar():
    """(path, {member name: bytes}) to a tar."""

    def make(path, members, kind=tarfile.USTAR_FORMAT):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(path, "w", format=kind) as tar:
            for name, data in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        return path

    return make


@pytest.fixture
def write_parquet():
    """(path, list of image bytes, labels, column name, rows a row group, metadata) to a Parquet file."""

    def make(path, images, labels=None, column="img", row_group_size=3, metadata=None):
        path.parent.mkdir(parents=True, exist_ok=True)
        table = {column: [None if data is None else {"bytes": data, "path": None} for data in images]}
        if labels is not None:
            table["label"] = labels
        kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        fields = [pa.field(column, kind)]
        if labels is not None:
            fields.append(pa.field("label", pa.infer_type(labels)))
        schema = pa.schema(fields, metadata=metadata)
        pq.write_table(pa.table(table, schema=schema), path, row_group_size=row_group_size)
        return path

    return make


@pytest.fixture
def members(picture, encode):
    """(start, stop, format, classes) to the members of a tar, {name: bytes}: `s003.jpg`, and its `s003.cls`."""

    def make(start, stop, kind="JPEG", classes=True):
        found = {}
        for i in range(start, stop):
            found[f"s{i:03d}.{kind.lower().replace('jpeg', 'jpg')}"] = encode(picture(i), kind)
            if classes:
                found[f"s{i:03d}.cls"] = str(i % 3).encode()
        return found

    return make


@pytest.fixture
def save(picture):
    """(path, seed, size) to an image file, in folders that are made for it."""

    def make(path, seed=0, size=16):
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(seed, size).save(path)
        return path

    return make


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The folder of a `SlowStore`."""
    (tmp_path / "source").write_bytes(b"images")
    monkeypatch.setattr(decoded, "WAIT_SECONDS", 0.01)
    return tmp_path
