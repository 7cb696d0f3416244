"""The ways to call an evaluation from Python come to the same config."""

import pytest

from synthcl.pipeline.configs.evaluate import KnnConfig, LinearConfig, TransferConfig
from synthcl.pipeline.errors import UsageError
from synthcl.pipeline.evaluation.calling import takes_data_and_options


@takes_data_and_options(KnnConfig)
def knn(run, config):
    return run, config


@takes_data_and_options(TransferConfig)
def transfer(run, config):
    return run, config


WAYS = {
    "a config": lambda: knn("r", KnnConfig(data="digits", k=5)),
    "by place": lambda: knn("r", "digits", k=5),
    "by name": lambda: knn("r", data="digits", k=5),
    "all by name": lambda: knn(k=5, data="digits", run="r"),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_it_comes_to_one_config(way):
    assert way() == ("r", KnnConfig(data="digits", k=5))


@pytest.mark.parametrize("data", [["a", "b"], ("a", "b")])
def test_several_sets_are_a_list(data):
    assert transfer("r", data) == ("r", TransferConfig(data=["a", "b"]))
    assert transfer("r", suite="natural") == ("r", TransferConfig(suite="natural"))


WRONG = {
    "images twice": (lambda: knn("r", "digits", data="cifar10"), TypeError, "given data twice"),
    "a config and options": (lambda: knn("r", KnnConfig(data="digits"), k=5), TypeError, "not both"),
    "another's config": (lambda: knn("r", LinearConfig(data="digits")), UsageError, "--data"),
    "no images": (lambda: knn("r", k=5), UsageError, "Missing option '--data'"),
    "no option": (lambda: knn("r", "digits", neighbours=5), UsageError, "there is no option 'neighbours'"),
}


@pytest.mark.parametrize(("way", "error", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_calls_are_refused(way, error, message):
    with pytest.raises(error, match=message):
        way()
