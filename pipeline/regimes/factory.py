"""From options to a regime."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager

from accelerate import Accelerator

from ...generators import GeneratorTrainer, load_trainer
from ...generators.fingerprint import fingerprint
from ..configs.train import TrainConfig
from ..data import cached
from ..distributed import average_gradients
from ..errors import UsageError
from ..generation import generator_options, locate_generator
from ..randomness import Key
from ..shards import ShardRecorder, open_shard_set
from .assembly import RealImages, ViewMaker
from .base import Regime, Share, synthetic_share
from .offline import OfflineRegime, ShardImages, check_image_size, sample_order
from .online import OnlineOptions, OnlineRegime
from .real import RealRegime
from .recording import RunRecording
from .replay import ReplayRegime
from .similarity import SimilarityTarget


def create_regime(
    config: TrainConfig, real: RealImages, views: ViewMaker, key: Key, accelerator: Accelerator, total_steps: int
) -> Regime:
    """The regime that the options name.

    Raises:
        UsageError: a shard set or generator of another image size, or samples that cannot be shared by the processes.
    """
    if config.regime == "real":
        return RealRegime(real, views)
    share = synthetic_share(config.batch_size, config.synthetic_ratio, real.share.rank, real.share.num_processes)
    share.check_parts(config.accumulate)
    if config.regime == "offline":
        return _offline(config, real, views, share, key, total_steps)
    if config.regime == "replay":
        recording = open_shard_set(config.replay)
        check_image_size("--replay", recording, real.store.image_size)
        return ReplayRegime(real, views, recording, share, total_steps)
    trainer = _trainer(config, real.store.image_size, accelerator)
    return OnlineRegime(real, views, trainer, share, key, _online_options(config, total_steps))


def _offline(
    config: TrainConfig, real: RealImages, views: ViewMaker, share: Share, key: Key, total_steps: int
) -> OfflineRegime:
    size = real.store.image_size
    sets = [open_shard_set(path, where=config.where, mixed_size=size) for path in config.shards]
    images = ShardImages(sets, size)
    # The order follows from what is read, and not from where it is kept meanwhile.
    order = sample_order(images, share, key, config.shards_per_window)
    store = cached(images, config.cache, real.device)
    return OfflineRegime(real, views, store, images.views_per_sample, share, order, total_steps)


def _trainer(config: TrainConfig, image_size: int, accelerator: Accelerator) -> GeneratorTrainer:
    options = {"ema_decay": config.pair_ema_decay, "hardness_clip": config.hardness_clip, **config.sampling_options()}
    given = {
        "learning_rate": config.generator_learning_rate,
        "lora_rank": config.lora_rank,
        "gradient_steps": config.gradient_steps,
    }
    options |= {name: value for name, value in given.items() if value is not None}
    source = locate_generator(config.generator)
    with generator_options():
        trainer = load_trainer(source, device=accelerator.device, synchronise=average_gradients, **options)
    if trainer.generator.image_size != image_size:
        size = trainer.generator.image_size
        raise UsageError(
            f"--generator {config.generator} makes images of {size} pixels, and the training is at {image_size}; "
            f"give --image-size {size}, or a generator of {image_size} pixels"
        )
    return trainer


@contextmanager
def recording(config: TrainConfig, regime: Regime, main_process: bool) -> Iterator[None]:
    """Have the regime record what it draws, if the options say so, until the block ends.

    Raises:
        UsageError: the folder holds another recording.
        DataError: the folder holds something else, or another process records into it.
    """
    if config.record is None:
        yield
        return
    assert isinstance(regime, OnlineRegime), "the options allow --record with --online alone"
    generator = fingerprint(regime.trainer.generator)
    if not main_process:
        regime.recording = RunRecording(None, generator[:12])
        yield
        return
    unchanging = {f.name for f in dataclasses.fields(config) if not f.metadata["option"].may_change}
    options = {name: value for name, value in config.to_dict().items() if name in unchanging - {"generator", "record"}}
    recipe = {"recorded": options, "generator": {"weights": generator}, "seed": config.seed}
    with ShardRecorder(config.record, recipe, pairs=config.pairs) as recorder:
        regime.recording = RunRecording(recorder, generator[:12])
        yield


def _online_options(config: TrainConfig, total_steps: int) -> OnlineOptions:
    target = config.pair_similarity_range()
    return OnlineOptions(
        hard=config.hard,
        pairs=config.pairs,
        hard_weight=config.hard_weight,
        ramp_steps=round(config.hard_ramp * total_steps),
        similarity=SimilarityTarget(*target, total_steps, config.pair_ema_decay) if target is not None else None,
    )
