"""No step waits for the device: nothing in it reads a value back, or makes tensors of numbers on the host.

On a CPU nothing is slower for it, so the operations that would wait on an accelerator are looked for as they are
dispatched. The views take another way on a CPU, where values can be looked at for nothing; here they take the other.
"""

import collections
import functools
import threading
import traceback

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import (
    TorchDispatchMode,
    _disable_current_modes,
    _get_current_dispatch_mode_stack,
)
from torch.utils._pytree import tree_leaves

from synthcl.generators import create_trainer
from synthcl.generators.gan import GANGenerator
from synthcl.learners import learner_names
from synthcl.pipeline import generate, pretrain, train
from synthcl.pipeline.data import open_images
from synthcl.pipeline.generation.rendering import Renderer, Varier
from synthcl.pipeline.randomness import Key
from synthcl.pipeline.regimes.assembly import RealImages
from synthcl.pipeline.regimes.offline import OfflineRegime
from synthcl.pipeline.regimes.replay import ReplayRegime
from synthcl.pipeline.runtime.distributed import create_accelerator
from synthcl.pipeline.runtime.readback import Readback, sent
from synthcl.pipeline.shards import open_shard_set
from synthcl.pipeline.training.step import TrainingStep
from synthcl.pipeline.views import augmentation, jitter, selection

aten = torch.ops.aten
WAITING = {
    aten._local_scalar_dense.default,
    aten.equal.default,
    aten.is_nonzero.default,
    aten.lift_fresh.default,  # numbers of the host, which would be copied to the device
    aten.masked_select.default,
    aten.nonzero.default,
    aten._unique2.default,
    aten.unique_consecutive.default,
    aten.unique_dim.default,
}
INDEXING = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._unsafe_index.Tensor}


READS = ("tolist", "numpy", "__array__", "cpu")
ALLOWED = "pipeline/runtime/readback.py"
"""The one way to read back and to send: what is in it does not wait by itself (see `Readback.numbers` below)."""


class NoWaiting(TorchDispatchMode):
    """Counts what would wait for a device, by the lines that asked for it.

    On a CPU a copy from or to the device is no operation. So the methods that read a tensor back are watched
    themselves; and tensors from NumPy, and what is made of them alone, are taken for the host's: to read them back is
    free, and to send them anywhere is a copy. It sees the thread that it is in alone.
    """

    def __init__(self):
        super().__init__()
        self.found = collections.Counter()
        self.hosts = {}  # storages by address; kept, so that no other gets it
        self.begun = []
        self.patches = pytest.MonkeyPatch()

    def __enter__(self):
        mode, thread = super().__enter__(), threading.get_ident()

        def watch(owner, name, wrapper):
            original = getattr(owner, name)

            @functools.wraps(original)
            def watched(*args, **kwargs):
                aside = threading.get_ident() != thread or self not in _get_current_dispatch_mode_stack()
                return original(*args, **kwargs) if aside else wrapper(original, *args, **kwargs)

            self.patches.setattr(owner, name, watched)

        for name in READS:
            watch(Tensor, name, functools.partial(self._read, name))
        watch(Tensor, "to", self._sent)
        watch(Tensor, "cuda", self._sent)
        watch(torch, "from_numpy", self._from_host)
        watch(Readback, "__init__", self._begin)
        for name in ("numbers", "array"):
            watch(Readback, name, self._asked)
        return mode

    def __exit__(self, *error):
        self.patches.undo()
        super().__exit__(*error)

    def _note(self, what):
        frames = [frame for frame in traceback.extract_stack()[:-2] if frame.filename != __file__]
        if not frames[-1].filename.endswith(ALLOWED):
            where = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in frames[-7:]]
            self.found[f"{what} from {' < '.join(reversed(where))}"] += 1

    def _read(self, name, original, tensor, *args, **kwargs):
        if not self._of_host(tensor):
            self._note(name)
        return original(tensor, *args, **kwargs)

    def _sent(self, original, tensor, *args, **kwargs):
        result = original(tensor, *args, **kwargs)
        targets = [*args, *kwargs.values()]
        if not self._of_host(tensor) or not any(isinstance(target, (torch.device, str, Tensor)) for target in targets):
            return result
        self._note("to")
        with _disable_current_modes():
            return result.clone()  # which is the device's

    def _from_host(self, original, *args):
        with _disable_current_modes():
            result = original(*args)
        self._keep(result)
        return result

    def _begin(self, original, readback, *args):
        self.begun.append(readback)
        return original(readback, *args)

    def _asked(self, original, readback):
        """What was sent to the host by an earlier step is there by now."""
        if any(each is readback for each in self.begun):
            self.found[f"numbers asked for in the step that sent them: {traceback.format_stack()[-3]}"] += 1
        return original(readback)

    def _keep(self, tensor):
        storage = tensor.untyped_storage()
        self.hosts[storage._cdata] = storage

    def _of_host(self, tensor):
        return tensor.untyped_storage()._cdata in self.hosts

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        given = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
        of_host = [self._of_host(each) for each in given]
        by_mask = function in INDEXING and any(i is not None and i.dtype in (torch.bool, torch.uint8) for i in args[1])
        mixed = any(of_host) and not all(of_host) and any(h and t.dim() for h, t in zip(of_host, given, strict=True))
        if not (of_host and all(of_host)) and (function in WAITING or by_mask or mixed):
            self._note(str(function))
        result = function(*args, **kwargs)
        if of_host and all(of_host):
            for each in tree_leaves(result):
                if isinstance(each, Tensor):
                    self._keep(each)
        return result


@pytest.fixture(autouse=True)
def as_on_a_device(monkeypatch):
    for module in (augmentation, jitter, selection):
        monkeypatch.setattr(module, "on_host", lambda tensor: False)


ONLINE = {"online": True, "generator": "gan"}
REGIMES = {
    "real": {},
    "real with adversarial views": {"adversarial": 0.01},
    "real in parts": {"accumulate": 2},
    "real clipped": {"clip_gradients": 0.1},
    "real with lars": {"optimizer": "lars"},
    "real with adamw": {"optimizer": "adamw"},
    "offline": {"shards": ["set"]},
    "fresh": {"fresh": True, "generator": "gan"},
    "fresh in groups": {"fresh": True, "generator": "gan", "images_per_sample": 3},
    "fresh recorded": {"fresh": True, "generator": "gan", "images_per_sample": 3, "record": True},
    "fresh with diffusion": {"fresh": True, "generator": "diffusion"},
    "online": ONLINE,
    "online in parts": {**ONLINE, "accumulate": 2},
    "online clipped": {**ONLINE, "clip_gradients": 0.1},
    "online recorded": {**ONLINE, "record": True},
    "online towards a similarity": {**ONLINE, "pair_similarity": "0.9:0.5"},
    "online against real negatives": {
        **ONLINE, "hard_objective": "real-negatives", "hard_gate": 1.0, "pair_floor": 0.1,
    },
    "online bounded on parameters": {**ONLINE, "hardness_clip_on": "parameters"},
    "online with larger images": {**ONLINE, "generator": "larger", "resize_samples": True},
    "online on latents": {**ONLINE, "hard_on": "latents"},
    "online with diffusion": {**ONLINE, "generator": "diffusion", "gradient_steps": 1},
    "replay": {"replay": "recording"},
    "real scaled": {"scaled": True},
    "real with lars scaled": {"optimizer": "lars", "scaled": True},
    "real with adamw scaled": {"optimizer": "adamw", "scaled": True},
    "online scaled and clipped": {**ONLINE, "clip_gradients": 0.1, "scaled": True},
}  # fmt: skip
LOCAL = ("real with local views", "online with local views")
REGIMES |= {name: {**REGIMES[name.split()[0]], "local_views": 2} for name in LOCAL}
CASES = [(name, "dino" if name in LOCAL else "simclr") for name in REGIMES]
OF_ALL = ("real", "offline", "fresh", "online")
CASES += [(name, learner) for learner in learner_names() if learner != "simclr" for name in OF_ALL]
TRAINING = {
    "data": "digits", "image_size": 8, "batch_size": 8, "backbone": "resnet10-w8", "views": "simclr",
    "precision": "fp32", "steps": 3,
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Generators of both kinds, a set and a recording."""
    path = tmp_path_factory.mktemp("made")
    common = {"data": "digits", "image_size": 8, "batch_size": 8, "preset": "tiny"}
    pretrain(**common, steps=1, out=str(path / "gan"))
    pretrain(**common | {"image_size": 16}, steps=1, out=str(path / "larger"))
    pretrain(**common, steps=1, out=str(path / "diffusion"), generator="diffusion", sampling_steps=2)
    generate(generator=str(path / "gan"), num_samples=16, pairs=True, out=str(path / "set"), workers=0)
    train(
        **TRAINING, online=True, generator=str(path / "gan"), record=str(path / "recording"), out=str(path / "recorded")
    )
    return path


def on_the_host(method):
    """A method that reads images, which is the host's work, without being watched."""

    def unwatched(*arguments):
        with _disable_current_modes():
            return method(*arguments)

    return unwatched


def watched(method, found):
    """A method that is not to wait, with what waits in it counted."""

    def guarded(*arguments):
        with NoWaiting() as mode:
            result = method(*arguments)
        found.update(mode.found)
        return result

    return guarded


def with_scaler(precision):
    """An accelerator that scales the loss as in fp16, in whose place it is on a CPU."""
    accelerator = create_accelerator(precision)
    accelerator.scaler = torch.amp.GradScaler("cpu")
    return accelerator


@pytest.mark.parametrize(("regime", "learner"), CASES)
def test_no_step_of_training_waits(made, tmp_path, monkeypatch, regime, learner):
    found = collections.Counter()
    monkeypatch.setattr(TrainingStep, "__call__", watched(TrainingStep.__call__, found))
    monkeypatch.setattr(RealImages, "images", on_the_host(RealImages.images))
    monkeypatch.setattr(RealImages, "labels", on_the_host(RealImages.labels))
    monkeypatch.setattr(OfflineRegime, "samples", on_the_host(OfflineRegime.samples))
    monkeypatch.setattr(ReplayRegime, "_read", on_the_host(ReplayRegime._read))
    options = {"shards": [], **REGIMES[regime]}
    if options.pop("scaled", False):
        monkeypatch.setattr("synthcl.pipeline.training.train.create_accelerator", with_scaler)
    for name in {"generator", "replay"} & options.keys():
        options[name] = str(made / options[name])
    options["shards"] = [str(made / name) for name in options["shards"]]
    if "record" in options:
        options["record"] = str(tmp_path / "recording")
        # What latents say of a sample is read value by value, in the recorder's own time.
        monkeypatch.setattr(GANGenerator, "describe", lambda self, latents: {"class": [int(z[0] > 0) for z in latents]})
    train(**TRAINING, learner=learner, out=str(tmp_path / "run"), **options)
    assert not found
    if "record" in options:
        assert set(open_shard_set(options["record"]).column("class")) == {0, 1}


@pytest.mark.parametrize("kind", ["gan", "diffusion"])
def test_no_step_of_pretraining_waits(kind):
    trainer, found = create_trainer(kind, 8, preset="tiny"), collections.Counter()
    images = torch.rand(4, 3, 8, 8) * 2 - 1
    for step in range(3):
        watched(trainer.step, found)(images, Key.from_seed(step).at(torch.arange(4)))
    assert not found


GROUPS = [(1, None), (3, 0.3)]
PRECISIONS = ["fp32", "fp16"]


# Pipelines of diffusers wait, as `PretrainedGenerator` says.
@pytest.mark.parametrize("kind", ["gan", "diffusion"])
@pytest.mark.parametrize(("size", "strength"), GROUPS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_no_batch_of_samples_waits(kind, size, strength, precision):
    generator = create_trainer(kind, 8, preset="tiny").generator.eval()
    generator.computes_in = precision
    render = Renderer(generator, Key.from_seed(0), torch.device("cpu"), size, strength)
    found = collections.Counter()
    images = watched(render.begin, found)(np.arange(4))
    assert not found
    assert images.array().shape == (4, size, 3, 8, 8)


def test_no_batch_of_variations_waits():
    generator = create_trainer("diffusion", 8, preset="tiny").generator.eval()
    store = open_images("digits", image_size=8)
    found = collections.Counter()
    vary = Varier(generator, Key.from_seed(0), torch.device("cpu"), store, 0.5, 2)
    watched(vary.begin, found)(np.arange(4))
    assert not found


def test_what_would_wait_is_found():
    values = torch.arange(3.0)

    def index():
        return torch.from_numpy(np.arange(2))

    waiting = [
        lambda: values.sum().item(),
        lambda: values[values > 1],
        lambda: torch.tensor(1.0),
        lambda: values.tolist(),
        lambda: values.numpy(),
        lambda: np.asarray(values),
        lambda: values.cpu(),
        lambda: index().to(values.device),
        lambda: (index() + 1).to("cpu"),
        lambda: values[index()],
        lambda: Readback(values).numbers(),
    ]
    for wait in waiting:
        with NoWaiting() as mode:
            wait()
        assert mode.found
    with NoWaiting() as mode:
        there = sent(index(), values.device)
        values.to(values.device)[there] + Readback(values).values[:2]
        (index() + 1).tolist()
        on_the_host(values.tolist)()
    assert not mode.found
