"""Options of embed: a table of one set or more, and how its picture is drawn."""

import pytest

from synthcl.pipeline.configs.embed import EmbedConfig
from synthcl.pipeline.errors import UsageError

GIVEN = {"data": ["digits"], "out": "x.parquet"}
WRONG = {
    "no images": ({"data": []}, "Missing option '--data': give one image set or more"),
    "another table": ({"out": "x.csv"}, "--out x.csv must end in .parquet"),
    "another picture": ({"picture": "x.svg"}, "--picture x.svg must end in .png"),
    "a way to no picture": ({"method": "pca"}, "--method means nothing without --picture FILE.png; give both"),
    "colours of no picture": ({"color_by": "class"}, "--color-by means nothing without --picture FILE.png"),
    "another way": (
        {"picture": "x.png", "method": "lle"},
        "--method 'lle' is not known; choose one of tsne, pca",
    ),
    "fp16": ({"precision": "fp16"}, "--precision 'fp16' is not known .*; choose one of fp32, bf16"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_options_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        EmbedConfig(**{**GIVEN, **options})


def test_one_set_is_a_list_of_one():
    assert EmbedConfig.from_values({**GIVEN, "data": "digits"}).data == ["digits"]
