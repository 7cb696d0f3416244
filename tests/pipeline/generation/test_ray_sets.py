"""Sets on a Ray cluster of two nodes: whatever is lost meanwhile, the set is that of one process."""

import contextlib
import hashlib
import importlib.util
import os
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from synthcl.pipeline.configs.generate import GenerateConfig
from synthcl.pipeline.errors import DataError, UsageError
from synthcl.pipeline.generation import ray_sets
from synthcl.pipeline.generation.ray_sets import ShardWorker, write_on_ray
from synthcl.pipeline.runtime.signals import Stopped
from synthcl.pipeline.shards import write_shard_set
from synthcl.pipeline.shards.layout import HIDDEN
from synthcl.pipeline.shards.publish import PartLock
from synthcl.pipeline.shards.status import complete_set
from synthcl.pipeline.shards.writing.set_writer import begin_set

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed: pip install ray")
NUM_SAMPLES, PER_SHARD, BATCH = 50, 5, 2
RECIPE = {"seed": 3, "weights": "abc"}


@pytest.fixture(scope="module")
def cluster():
    """Two nodes of one CPU."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    yield made
    made.shutdown()


def samples(render, fault=None, seconds=0.0):
    """What a worker opens: pictures that cost no generator. What they are made by travels to it by value.

    Args:
        render: see the fixture.
        fault: is called with the indices of each batch before it is rendered.
        seconds: that each batch takes.
    """

    def slow(indices):
        time.sleep(seconds)
        if fault is not None:
            fault(indices)
        return render(indices)

    def open_samples(config):
        number = config.num_samples
        return SimpleNamespace(recipe=RECIPE, num_samples=number, render=slow, describe=None, columns=(), labels=())

    return open_samples


@pytest.fixture
def ask(tmp_path, cluster, render):
    """`ask(out, fault, seconds, **options)` has a set written on the cluster."""
    from ray import cloudpickle

    modules = [sys.modules[render.__module__], sys.modules[__name__]]
    for module in modules:
        cloudpickle.register_pickle_by_value(module)

    def call(out, fault=None, seconds=0.0, **options):
        return write_on_ray(
            config(tmp_path / out, ray_address=cluster.address, **options), samples(render, fault, seconds)
        )

    yield call
    for module in modules:
        cloudpickle.unregister_pickle_by_value(module)


def config(out, **options):
    given = {"num_samples": NUM_SAMPLES, "samples_per_shard": PER_SHARD, "batch_size": BATCH, "workers": 0, **options}
    return GenerateConfig(generator="g", out=str(out), executor="ray", **given)


@pytest.fixture
def whole(make_set, digest):
    """The files of the set that one process writes."""
    return digest(make_set("whole", num_samples=NUM_SAMPLES, samples_per_shard=PER_SHARD, batch_size=BATCH))


def published(folder):
    return sorted(path.name for path in folder.glob(f"{HIDDEN}/0*.parquet"))


@contextlib.contextmanager
def once(condition, act):
    """Meanwhile a thread waits for a condition, and then acts."""

    def wait():
        while not condition():
            if over.wait(0.01):
                return
        act()

    over = threading.Event()
    thread = threading.Thread(target=wait)
    thread.start()
    yield
    over.set()
    thread.join()


@pytest.mark.slow
@needs_ray
def test_what_a_lost_worker_was_at_another_does_and_what_is_there_stays(tmp_path, ask, render, digest, whole, capfd):
    out, mark = tmp_path / "set", str(tmp_path / "killed")
    write_shard_set(
        out, RECIPE, NUM_SAMPLES, PER_SHARD, render, batch_size=BATCH, workers=0, process_index=1, num_processes=2
    )
    before = {path: path.stat().st_mtime_ns for path in out.glob("*.tar")}

    def fault(indices):
        if 22 in indices and not os.path.exists(mark):
            Path(mark).touch()
            os.kill(os.getpid(), signal.SIGKILL)

    info = ask("set", fault, ray_workers=1)
    assert info.complete and (info.written, info.existing, info.reused) == (25, 25, False) and info.path == out
    assert digest(out) == whole and len(before) == 5
    assert {path: path.stat().st_mtime_ns for path in before} == before
    printed, said = capfd.readouterr()
    assert said.count("another takes over: its process has ended") == 1 and "generate: " in said and not printed

    again = ask("set", ray_workers=1)
    assert again.reused and (again.written, again.existing) == (0, 50)
    assert digest(out) == whole


@pytest.mark.slow
@needs_ray
def test_a_shard_that_always_fails_is_named_with_the_reason(tmp_path, ask):
    def fault(indices):
        if 33 in indices:
            raise RuntimeError("out of luck")

    with pytest.raises(DataError, match=r"shard 000006.tar failed 3 times, at last on node .*: RuntimeError: out"):
        ask("set", fault, ray_workers=1)
    assert {"000000.parquet", "000005.parquet"} <= set(published(tmp_path / "set"))


@pytest.mark.slow
@needs_ray
def test_a_shard_that_always_ends_its_worker_is_named_and_no_other(tmp_path, ask):
    def fault(indices):
        if 12 in indices:
            os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(DataError, match=r"shard 000002.tar failed 3 times, at last on node [\d.]+: its process has"):
        ask("set", fault, ray_workers=1)


@pytest.fixture
def heard():
    """Ctrl-C interrupts, also in tests that a shell started in the background, where it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.slow
@needs_ray
@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Stopped)])
def test_a_signal_ends_all_workers_and_the_same_command_continues(tmp_path, ask, digest, whole, number, error):
    out = tmp_path / "set"
    with (
        once(lambda: len(published(out)) > 1, lambda: os.kill(os.getpid(), number)),
        pytest.raises(error) as raised,
    ):
        ask("set", seconds=0.1, ray_workers=1)
    assert getattr(raised.value, "exit_code", 75) == 75
    ended = time.monotonic()
    with PartLock(out, 0, 2) as lock:
        while lock.clean_up():
            assert time.monotonic() < ended + 30, "a worker goes on"
            time.sleep(0.1)
    assert 2 <= len(published(out)) < 10
    if number == signal.SIGINT:
        assert ask("set", ray_workers=1).complete and digest(out) == whole


@pytest.mark.slow
@needs_ray
def test_a_node_that_is_lost_while_its_worker_writes(tmp_path, cluster, ask, digest, whole, capfd):
    out, node = tmp_path / "set", cluster.add_node(num_cpus=1)
    begun = tmp_path / "begun"
    begun.mkdir()
    folder = str(begun)

    def fault(indices):
        Path(folder, f"{os.getpid()}-{indices[0]}").touch()

    def both_write():
        workers = {path.name.split("-")[0] for path in begun.iterdir()}
        return len(workers) == 2 and len(published(out)) > 2

    with once(both_write, lambda: cluster.remove_node(node, allow_graceful=False)):
        info = ask("set", fault, seconds=0.3)  # a worker on each node
    assert info.complete and info.written == 50
    assert digest(out) == whole
    captured = capfd.readouterr()
    assert "another takes over: its " in captured.err and not captured.out


@pytest.mark.slow
@needs_ray
def test_wrong_options_of_a_generator_are_told_as_they_are_by_one_process(tmp_path, cluster):
    def wrong(config):
        from synthcl.pipeline.errors import UsageError

        raise UsageError("--pairs: it has none")

    with pytest.raises(UsageError, match=r"--pairs: it has none \(a worker on node [\d.]+\)"):
        write_on_ray(config(tmp_path / "set", ray_address=cluster.address), wrong)
    assert not (tmp_path / "set").exists()
    with pytest.raises(UsageError, match="no node of the Ray cluster has the 1 CPUs and 3 GPUs"):
        write_on_ray(config(tmp_path / "set", ray_address=cluster.address, worker_gpus=3), wrong)


@pytest.fixture
def worker(tmp_path, render, monkeypatch):
    """A worker in this process, that has opened what it draws from."""
    made = ShardWorker(config(tmp_path / "set"), samples(render), str(tmp_path), 0, True)
    monkeypatch.chdir(tmp_path)
    made.open()
    return made


def begin(worker):
    worker.files.make_folder()
    with worker.files.part(0, 2) as lock:
        begin_set(worker.files, worker.plan, lock)


def test_a_worker_writes_shards_in_any_order_and_at_the_same_time(worker, digest, whole, tmp_path):
    begin(worker)
    worker.start(1, 1)
    threads = [threading.Thread(target=worker.work, args=(number,)) for number in (7, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert published(worker.files.path) == ["000002.parquet", "000007.parquet"] and worker.progress() == {}
    assert worker.work(7) == 0 and worker.work(0) == PER_SHARD
    worker.close()
    files = digest(tmp_path / "set")
    assert len(files) == 7 and files.items() - whole.items() == {
        (name, sha) for name, sha in files.items() if name.endswith("shardset.json")
    }


def test_workers_write_to_an_object_store(store, whole, render, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where workers go too
    workers = [ShardWorker(config("s3://bucket/set"), samples(render), str(tmp_path), 0, True) for _ in range(2)]
    for worker in workers:
        worker.open()
    begin(workers[0])
    for index, worker in enumerate(workers):
        worker.start(index + 1, 2)
    assert [workers[number % 2].work(number) for number in range(10)] == [PER_SHARD] * 10
    assert workers[0].work(1) == 0
    for worker in workers:
        worker.close()
    with workers[0].files.part() as lock:
        assert complete_set(workers[0].files, workers[0].plan, lock).complete
    assert {name: hashlib.sha256(data).hexdigest() for name, data in store.objects("set/").items()} == whole


def test_a_worker_that_is_thought_lost_does_no_harm(worker, tmp_path, render):
    begin(worker)
    worker.start(1, 1)
    other = ShardWorker(config(tmp_path / "set"), samples(render, seconds=0.05), str(tmp_path), 0, True)
    other.open()
    other.start(2, 1)
    late = threading.Thread(target=other.work, args=(0,))
    late.start()
    time.sleep(0.06)
    assert worker.work(0) == PER_SHARD
    before = (tmp_path / "set" / "000000.tar").read_bytes()
    late.join()
    assert (tmp_path / "set" / "000000.tar").read_bytes() == before
    worker.close(), other.close()
    assert sorted(path.name for path in (tmp_path / "set" / HIDDEN).iterdir()) == ["000000.parquet", "shardset.json"]


def test_a_node_that_does_not_see_the_set_says_so(worker, monkeypatch):
    monkeypatch.setattr(ray_sets, "SHOWN_SECONDS", 0)
    with pytest.raises(DataError, match=r"does not see .*shardset.json.* file system that all nodes share"):
        worker.start(1, 1)


def test_workers_that_would_write_other_bytes_are_refused(worker):
    plan = worker.plan
    ray_sets._check_alike(plan, plan, "here")
    other = replace(plan, made_with={**plan.made_with, "pillow": "0"})
    with pytest.raises(DataError, match=r"on node there has .*'pillow': '0'.* install the same versions"):
        ray_sets._check_alike(plan, other, "there")
    other = replace(plan, recipe=type(plan.recipe)({**plan.recipe.values, "seed": 4}))
    with pytest.raises(DataError, match=r"would draw other samples .*differ in\n  .*seed: 3 there, 4 now"):
        ray_sets._check_alike(plan, other, "there")
