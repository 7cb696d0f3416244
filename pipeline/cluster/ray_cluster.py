"""A Ray cluster as this process sees it: the connection, the room on its nodes, why workers are lost, and signals."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from ..errors import DataError, UsageError

CONNECT_SECONDS = 20.0
"""For a cluster to answer. Ours."""

NICENESS = "RAY_worker_niceness"
"""The variable by which the nodes of a cluster say how much their workers give way to others; Ray's default is 15."""

SIGNS = {
    "low on memory": "its node runs low on memory",
    "node has died": "its node is lost",
    "process has died": "its process has ended; want of memory is a usual reason",
    "is unavailable": "its node or its process cannot be reached any more",
}
"""How Ray says why a worker is lost, and words for it."""


def check_installed() -> None:
    """Raises UsageError if ray is not installed."""
    if importlib.util.find_spec("ray") is None:
        raise UsageError("--executor ray needs the package ray. Install it: pip install ray")


@contextmanager
def connected(address: str | None) -> Iterator[Any]:
    """The module `ray`, connected to a cluster; see `RayPool`. A program that is connected already stays so.

    Raises:
        DataError: there is no cluster at the address.
    """
    import ray

    if ray.is_initialized():
        yield ray
        return
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    own: dict[str, Any] = {"include_dashboard": False} if address == "local" else {}
    handler = signal.getsignal(signal.SIGTERM)
    try:
        if place := re.fullmatch(r"([\w.-]+):(\d+)", address):  # Ray itself would try for minutes
            socket.create_connection((place[1], int(place[2])), timeout=CONNECT_SECONDS).close()
        # Workers of a cluster that is the command's own give way no more than the command itself would.
        with _variable(NICENESS, "0") if own else contextlib.nullcontext():
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **own)
    except Exception as error:  # Ray raises that very class where a node does not start
        failed = "start Ray on this machine" if own else f"connect to the Ray cluster at --ray-address {address}"
        raise DataError(f"cannot {failed}: {first_line(error)}") from None
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)  # which Ray has replaced
    try:
        yield ray
    finally:
        with contextlib.redirect_stdout(io.StringIO()):  # Ray prints what it has held back of lost nodes
            ray.shutdown()


@contextmanager
def _variable(name: str, value: str) -> Iterator[None]:
    """Within it an environment variable has a value, unless it had one."""
    if name in os.environ:
        yield
        return
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]


def room(nodes: list[dict[str, float]], cpus: float, gpus: float) -> int:
    """How many workers fit on nodes with these resources."""
    wanted = {name: amount for name, amount in (("CPU", cpus), ("GPU", gpus)) if amount}
    return sum(int(min(node.get(name, 0) / amount + 1e-6 for name, amount in wanted.items())) for node in nodes)


def max_gpus(nodes: list[dict[str, float]]) -> float:
    """Of the node that has most."""
    return max((node.get("GPU", 0.0) for node in nodes), default=0.0)


def cause_in_words(error: Exception) -> str:
    """Why a call of an actor failed, in a line."""
    cause = getattr(error, "cause", None)
    if cause is not None:
        plain = isinstance(cause, (ValueError, OSError)) and str(cause)
        return str(cause) if plain else f"{type(cause).__name__}: {cause}"
    text = " ".join(str(error).split())
    return next((words for sign, words in SIGNS.items() if sign in text), first_line(error))


def first_line(error: Exception) -> str:
    """The first line of an error that has something in it."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


class _WithoutRay:
    """stdout, but for what Ray's own threads print there of lost nodes: the result is to be all that is on it."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        ours = not threading.current_thread().name.startswith("ray_")
        return self.stream.write(text) if ours else len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextmanager
def quiet() -> Iterator[None]:
    """Without what Ray prints and warns of."""
    import warnings

    with contextlib.redirect_stdout(_WithoutRay(sys.stdout)), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"ray\b")
        yield
