"""A cluster that is not there: what is made of nodes, errors and signals. test_ray_sets.py has one."""

import os
import socket
import sys
import threading
from types import SimpleNamespace

import pytest

from synthcl.pipeline.cluster import ray_cluster
from synthcl.pipeline.cluster.ray_cluster import (
    NICENESS,
    cause_in_words,
    connected,
    first_line,
    max_gpus,
    room,
)
from synthcl.pipeline.errors import DataError


@pytest.mark.parametrize(
    ("nodes", "cpus", "gpus", "expected"),
    [
        ([{"CPU": 8.0}, {"CPU": 3.0}], 2, 0, 5),
        ([{"CPU": 8.0, "GPU": 2.0}, {"CPU": 8.0}], 1, 1, 2),
        ([{"CPU": 8.0, "GPU": 2.0}], 1, 0.25, 8),
        ([{"CPU": 1.0}], 0.1, 0, 10),
        ([{"CPU": 2.0}], 4, 0, 0),
        ([{"GPU": 1.0}], 1, 1, 0),
        ([], 1, 0, 0),
    ],
)
def test_the_workers_that_there_is_room_for(nodes, cpus, gpus, expected):
    assert room(nodes, cpus, gpus) == expected


def test_the_gpus_of_a_node():
    assert max_gpus([{"CPU": 1.0}, {"GPU": 0.5}]) == 0.5
    assert max_gpus([]) == 0


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (SimpleNamespace(cause=DataError("the disk is full")), "the disk is full"),
        (SimpleNamespace(cause=RuntimeError("CUDA")), "RuntimeError: CUDA"),
        (SimpleNamespace(cause=ValueError()), "ValueError: "),
        (RuntimeError("The actor died\n\tThe actor is dead because its node\n has died."), "its node is lost"),
        (RuntimeError("dead because its worker process has died. ... low on memory"), "its node runs low on memory"),
        (RuntimeError("\n  something\n else"), "something"),
        (RuntimeError(), "RuntimeError"),
    ],
)
def test_causes_in_words(error, words):
    assert cause_in_words(error) == words


def test_the_first_line_that_says_something():
    assert first_line(ValueError("\n\n a \nb")) == "a"


def test_what_threads_of_ray_print_is_not_among_the_results(capsys):
    with ray_cluster.quiet():
        print("a result")
        thread = threading.Thread(target=print, args=("a node is lost",), name="ray_listen_error_messages")
        thread.start()
        thread.join()
        sys.stdout.flush()
    assert capsys.readouterr().out == "a result\n"


def test_a_cluster_that_is_not_there_is_named(monkeypatch):
    ray = SimpleNamespace(is_initialized=lambda: False, init=None)
    monkeypatch.setitem(sys.modules, "ray", ray)

    def refuse(**options):
        raise ConnectionError(f"Could not find {options['address']}\nmore")

    def no_node(**options):
        raise Exception("The current node timed out")  # the class that Ray has for it

    ray.init = refuse
    with pytest.raises(DataError, match=r"cannot connect to the Ray cluster at --ray-address auto: Could not find a"):
        connected("auto").__enter__()
    ray.init = no_node
    with pytest.raises(DataError, match=r"^cannot start Ray on this machine: The current node timed out$"):
        connected("local").__enter__()
    ray.init = refuse
    with socket.socket() as bound:  # and does not listen
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(DataError, match=r"at --ray-address 127.0.0.1:\d+: .*Connection refused"):
            connected(f"127.0.0.1:{bound.getsockname()[1]}").__enter__()


@pytest.mark.parametrize(
    ("given", "variable", "expected"), [("auto", "ray://b", "auto"), (None, "ray://b", "ray://b"), (None, "", "local")]
)
def test_which_cluster_it_is(monkeypatch, given, variable, expected):
    called = []
    ray = SimpleNamespace(is_initialized=lambda: False, init=lambda **options: called.append(options["address"]))
    ray.shutdown = lambda: (called.append("end"), print("(raylet) lost"))
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setenv("RAY_ADDRESS", variable)
    with connected(given):
        pass
    assert called == [expected, "end"]


@pytest.mark.parametrize(
    ("address", "variable", "expected"), [(None, None, "0"), (None, "5", "5"), ("auto", None, None)]
)
def test_workers_of_an_own_cluster_are_no_nicer_than_the_command(monkeypatch, address, variable, expected):
    seen = []
    ray = SimpleNamespace(is_initialized=lambda: False, init=lambda **_: seen.append(os.environ.get(NICENESS)))
    ray.shutdown = lambda: None
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.delenv(NICENESS, raising=False)
    if variable is not None:
        monkeypatch.setenv(NICENESS, variable)
    with connected(address):
        assert os.environ.get(NICENESS) == variable
    assert seen == [expected]


def test_a_program_that_is_connected_stays_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(is_initialized=lambda: True))
    with connected("a:1") as ray:
        assert ray is sys.modules["ray"]
