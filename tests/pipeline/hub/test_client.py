"""What goes wrong with the hub is a sentence that says what to do."""

import pytest

from synthcl.pipeline.errors import DataError
from synthcl.pipeline.hub.client import hub_errors
from synthcl.pipeline.hub.fetching import fetch
from synthcl.pipeline.hub.pushing import Repository

TARS = (("*.tar",),)


@pytest.mark.parametrize(
    ("location", "token", "message"),
    [
        ("hf://datasets/me/none", "hf_writer", "no such repository"),
        ("hf://datasets/me/set@none", "hf_writer", "no such branch, tag or commit"),
        ("hf://datasets/me/secret", None, "private and no token"),
    ],
)
def test_what_is_not_there_or_not_to_be_seen(hub, monkeypatch, location, token, message):
    hub.put("dataset", "me/set", {"0.tar": b"0"})
    hub.put("dataset", "me/secret", {"0.tar": b"0"}, private=True)
    monkeypatch.delenv("HF_TOKEN") if token is None else monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(DataError, match=f"cannot read {location}: .*{message}"):
        fetch(location, TARS, "tars")


def test_a_token_that_may_not_write_is_said(hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_reader")
    with pytest.raises(DataError, match=r"cannot push to me/set: the hub refuses the token \(403\); give one"):
        Repository("me/set", "dataset")
    assert not hub.repositories


def test_a_hub_that_is_not_there_is_said(hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DataError, match=r"cannot push to me/set: .*the network and http://127.0.0.1:9, and try again"):
        Repository("me/set", "dataset")


def test_errors_of_its_own_pass():
    with pytest.raises(DataError, match=r"\Amine\Z"), hub_errors("cannot push to", "x"):
        raise DataError("mine")
