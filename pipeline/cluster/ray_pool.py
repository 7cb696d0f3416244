"""Workers on a Ray cluster that keep what they have opened, and items of work that go to whichever is free.

A worker is an actor. Ray says where there is room for it; this process hands out the items and takes them back from
workers that are lost, so that an item is tried a few times, each time by another worker. Items must be such that doing
one twice, even at the same time, does no harm: a node that is cut off may still be at work on what another was given.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ..errors import DataError, UsageError
from ..progress.line import say
from ..runtime.signals import stop_signals
from .ray_cluster import cause_in_words, check_installed, connected, max_gpus, quiet, room
from .worker import Worker

ATTEMPTS = 3
"""How often an item is tried, and how many workers in a row may fail to start, for each that is wanted. Ours."""
AT_ONCE = 4
"""Items that a worker has at most: one that it works on, those that it finishes (a shard goes to the disk, which may
take longer than drawing the next one), and one to begin without asking. Ours: with two, workers that write small shards
stood idle between them (benchmarks/shards.md)."""
POLL_SECONDS = 1.0
"""Between two looks at how far the workers are. Ours."""
WAIT_SECONDS = 60.0
"""Without any worker before a sentence says what is waited for. Ours: more than a generator takes to load."""
CLOSE_SECONDS = 30.0
"""For workers to finish when all is done, before they are ended. Ours."""


class _Actor:
    """A worker as Ray calls it."""

    def __init__(self, make: Callable[[], Worker]) -> None:
        self.worker = make()

    def open(self) -> tuple[Any, str]:
        with _named_node() as node:
            return self.worker.open(), node

    def start(self, index: int, size: int) -> None:
        with _named_node():
            self.worker.start(index, size)

    def work(self, item: int) -> Any:
        return self.worker.work(item)

    def progress(self) -> dict[int, int]:
        return self.worker.progress()

    def close(self) -> None:
        self.worker.close()


@contextmanager
def _named_node() -> Iterator[str]:
    """The address of this node; within it, errors for users name it."""
    import ray

    node = ray.util.get_node_ip_address()
    try:
        yield node
    except (UsageError, DataError) as error:
        raise type(error)(f"{error} (a worker on node {node})") from None


@dataclass(eq=False)
class _Member:
    """An actor as the pool sees it."""

    actor: Any
    node: str = ""
    answer: Any = None
    opened: bool = False
    started: bool = False
    items: list[int] = field(default_factory=list)
    amounts: dict[int, int] = field(default_factory=dict)
    asked: bool = False


class RayPool:
    """Workers on a Ray cluster. Use it as a context manager; leaving the context ends them.

    Args:
        make: makes a `Worker`, in the actor's process. It must pickle, and goes to each node once.
        address: the cluster's; None is that of RAY_ADDRESS, or else a cluster of this machine alone for the time being.
        workers: how many; None is as many as the cluster has room for now.
        cpus: of each worker.
        gpus: of each worker; None is one if the cluster has any, else none.

    Raises:
        UsageError: ray is not installed, or no node has room for a worker.
        DataError: there is no such cluster.
    """

    def __init__(
        self,
        make: Callable[[], Worker],
        *,
        address: str | None = None,
        workers: int | None = None,
        cpus: float = 1,
        gpus: float | None = None,
    ) -> None:
        check_installed()
        self.make, self.address, self.wanted, self.cpus, self.gpus = make, address, workers, cpus, gpus
        self._members: list[_Member] = []
        self._calls: dict[Any, tuple[str, _Member, int | None]] = {}
        self._waiting: deque[int] = deque()
        self._attempts: Counter[int] = Counter()
        self._check: Callable[[Any, str], None] | None = None
        self._failures = 0
        self._index = 0

    def __enter__(self) -> RayPool:
        self._exit = contextlib.ExitStack()
        with self._exit:
            self._exit.enter_context(quiet())
            ray = self._exit.enter_context(connected(self.address))
            # Ray's own handler would end the process with the exit code 15.
            self._exit.enter_context(stop_signals())
            self._exit.callback(self._kill_all)
            nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
            self.worker_gpus = min(1.0, max_gpus(nodes)) if self.gpus is None else self.gpus
            self.size = self.wanted or room(nodes, self.cpus, self.worker_gpus)
            if not self.size:
                raise UsageError(
                    f"no node of the Ray cluster has the {self.cpus:g} CPUs and {self.worker_gpus:g} GPUs of a worker; "
                    "give other --worker-cpus and --worker-gpus, or --ray-workers to wait for nodes that come later"
                )
            self.began = time.monotonic()
            self._made = ray.put(self.make)
            # As many calls at once as it has items, and `progress` and `close` beside them.
            self._remote = ray.remote(
                num_cpus=self.cpus, num_gpus=self.worker_gpus, max_restarts=0, max_concurrency=AT_ONCE + 2
            )(_Actor)
            for _ in range(self.size):
                self._add()
            self._exit = self._exit.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        self._exit.__exit__(*error)

    def first(self) -> Any:
        """What the first worker answers that has opened.

        Raises:
            UsageError, DataError: as a worker's `open` does.
        """
        while not any(member.opened for member in self._members):
            self._next()
        return next(member.answer for member in self._members if member.opened)

    def run(
        self,
        items: Iterable[int],
        name: Callable[[int], str],
        check: Callable[[Any, str], None],
        done: Callable[[int, Any], None],
        report: Callable[[int, int], None],
    ) -> None:
        """Have all items done.

        Args:
            items: in the order in which they are begun.
            name: of an item, for messages.
            check: is called with a worker's answer to `open` and its node before it starts; it may raise.
            done: is called with each item and what `work` gave.
            report: is called now and then with how much of the items at hand is done, and how many workers there are.

        Raises:
            DataError: an item failed `ATTEMPTS` times, or the workers cannot start.
        """
        self._waiting, self._check, self.name, self.done = deque(items), check, name, done
        for member in [member for member in self._members if member.opened]:
            self._start(member)
        asked = time.monotonic()
        while self._waiting or any(member.items for member in self._members):
            self._hand_out()
            self._next()
            if time.monotonic() - asked >= POLL_SECONDS:
                asked = time.monotonic()
                self._ask()
                amounts = [m.amounts.get(item, 0) for m in self._members for item in m.items]
                report(sum(amounts), sum(member.started for member in self._members))
        self._close_all()

    def _add(self) -> None:
        member = _Member(self._remote.remote(self._made))
        self._members.append(member)
        self._call("open", member)

    def _call(self, method: str, member: _Member, *arguments: int) -> None:
        call = getattr(member.actor, method).remote(*arguments)
        self._calls[call] = (method, member, arguments[0] if method == "work" else None)

    def _start(self, member: _Member) -> None:
        assert self._check is not None, "workers start once there is something to do"
        self._check(member.answer, member.node)
        self._index += 1
        self._call("start", member, self._index, self.size)

    def _hand_out(self) -> None:
        """Give each free worker an item, and then each busy one others to begin while it finishes the first.

        Towards the end fewer wait behind others, and none once there are fewer items than workers. One that has failed
        before is alone, so that no other is blamed for the loss of its worker.
        """
        started = [member for member in self._members if member.started]
        for ahead in range(AT_ONCE):
            for member in (m for m in started if len(m.items) == ahead):
                alone = any(self._attempts[item] for item in [*member.items, *list(self._waiting)[:1]])
                if not self._waiting or (ahead and (alone or len(self._waiting) < ahead * len(started))):
                    continue
                item = self._waiting.popleft()
                member.items.append(item)
                self._call("work", member, item)

    def _ask(self) -> None:
        for member in self._members:
            if member.items and not member.asked:
                member.asked = True
                self._call("progress", member)

    def _next(self) -> None:
        """Take the next answer, or none if none comes soon."""
        import ray

        ready, _ = ray.wait(list(self._calls), num_returns=1, timeout=POLL_SECONDS)
        for call in ready:
            method, member, item = self._calls.pop(call)
            try:
                answer = ray.get(call)
            except ray.exceptions.RayError as error:
                self._failed(method, member, item, error)
            else:
                self._answered(method, member, item, answer)
        if any(member.opened for member in self._members):
            self.began = time.monotonic()
        elif time.monotonic() - self.began > WAIT_SECONDS:
            self.began = float("inf")
            say(f"no worker is ready yet; each takes {self.cpus:g} CPUs and {self.worker_gpus:g} GPUs of a node")

    def _answered(self, method: str, member: _Member, item: int | None, answer: Any) -> None:
        if method == "open":
            member.answer, member.node = answer
            member.opened = True
            if self._check is not None:
                self._start(member)
        elif method == "start":
            member.started, self._failures = True, 0
        elif method == "progress":
            member.amounts, member.asked = answer, False
        elif method == "work":
            assert item is not None, "work is on an item"
            member.items.remove(item)
            self.done(item, answer)

    def _failed(self, method: str, member: _Member, item: int | None, error: Exception) -> None:
        """A call failed, or its worker is lost: another worker takes over, or an error says that it is no use."""
        cause = getattr(error, "cause", None)
        words = cause_in_words(error)
        self._drop(member)
        if method in ("open", "start"):
            if isinstance(cause, (UsageError, DataError)):
                raise cause from None
            self._failures += 1
            if self._failures >= ATTEMPTS * self.size:
                raise DataError(f"the workers cannot start: {words}") from None
        # Of an item that failed the worker says so; if it is lost, any of its items may be why.
        blamed = member.items if cause is None else [item]
        for one in reversed(member.items):
            self._attempts[one] += one in blamed
            if self._attempts[one] >= ATTEMPTS:
                raise DataError(
                    f"{self.name(one)} failed {ATTEMPTS} times, at last on node {member.node}: {words}; what was "
                    "published is safe, and the same command continues"
                ) from None
            self._waiting.appendleft(one)
        say(f"a worker{f' on node {member.node}' if member.node else ''} failed, another takes over: {words}")
        self._add()

    def _drop(self, member: _Member) -> None:
        import ray

        self._members.remove(member)
        self._calls = {call: about for call, about in self._calls.items() if about[1] is not member}
        ray.kill(member.actor)

    def _close_all(self) -> None:
        """Have all workers let go of what they hold; those that do not answer are ended with the others."""
        import ray

        closing = [member.actor.close.remote() for member in self._members if member.started]
        if closing:
            ray.wait(closing, num_returns=len(closing), timeout=CLOSE_SECONDS)

    def _kill_all(self) -> None:
        for member in list(self._members):
            with contextlib.suppress(Exception):  # the cluster may be gone, and with it the workers
                self._drop(member)
