"""Locations on the hub."""

import pytest

from synthcl.pipeline.errors import UsageError
from synthcl.pipeline.hub.locations import HubLocation, check_repository, is_hub_location, parse_location


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("hf://datasets/me/set", HubLocation("dataset", "me/set", None, "")),
        ("hf://datasets/me/set/", HubLocation("dataset", "me/set", None, "")),
        ("hf://datasets/me/set@v1/data/train-*", HubLocation("dataset", "me/set", "v1", "data/train-*")),
        ("hf://me/gan", HubLocation("model", "me/gan", None, "")),
        ("hf://models/me/gan@abc", HubLocation("model", "me/gan", "abc", "")),
        (
            "hf://datasets/me/set@refs/convert/parquet/default/train",
            HubLocation("dataset", "me/set", "refs/convert/parquet", "default/train"),
        ),
        ("hf://datasets/me/set@refs/convert/parquet", HubLocation("dataset", "me/set", "refs/convert/parquet", "")),
        ("hf://datasets/me/x@refs%2Fconvert%2Fparquet/*", HubLocation("dataset", "me/x", "refs/convert/parquet", "*")),
        ("hf://me/gan@refs/pr/12", HubLocation("model", "me/gan", "refs/pr/12", "")),
        ("hf://me/gan@feature%2Fnew/a@b/c%2Fd", HubLocation("model", "me/gan", "feature/new", "a@b/c%2Fd")),
        ("hf://me/gan@refs/other", HubLocation("model", "me/gan", "refs", "other")),
    ],
)
def test_a_location_is_taken_apart(text, wanted):
    assert is_hub_location(text) and parse_location(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        *("hf://", "hf://me", "hf://datasets/me", "hf://me/", "hf://me/x@", "hf://me/x@/y", "hf://m e/x"),
        *("hf://me/../x", "hf://me/x/../y", "hf://me/x@..%2F../y"),
    ],
)
def test_a_malformed_location_is_refused_with_the_form(text):
    with pytest.raises(UsageError, match="write hf://datasets/USER/NAME"):
        parse_location(text)


@pytest.mark.parametrize("text", ["digits", "s3://bucket/set", "/a/b", None])
def test_other_places_are_not_on_the_hub(text):
    assert not is_hub_location(text)


@pytest.mark.parametrize("name", ["me", "me/", "/x", "me/x/y", "me/" + "x" * 96, "-me/x"])
def test_a_name_that_is_no_repository_is_refused(name):
    with pytest.raises(UsageError, match="give USER/NAME"):
        check_repository(name)
