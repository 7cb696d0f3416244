"""From options to a regime."""

from __future__ import annotations

from accelerate import Accelerator

from ...generators import GeneratorTrainer, load_trainer
from ..configs.train import TrainConfig
from ..data import cached
from ..distributed import average_gradients
from ..errors import UsageError
from ..generation import locate_generator
from ..randomness import Key
from ..shards import open_shard_set
from .assembly import RealImages, ViewMaker
from .base import Regime, Share, synthetic_share
from .offline import OfflineRegime, ShardImages
from .online import OnlineOptions, OnlineRegime
from .real import RealRegime
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
    if config.regime == "offline":
        return _offline(config, real, views, share, key)
    trainer = _trainer(config, real.store.image_size, accelerator)
    return OnlineRegime(real, views, trainer, share, key, _online_options(config, total_steps))


def _offline(config: TrainConfig, real: RealImages, views: ViewMaker, share: Share, key: Key) -> OfflineRegime:
    images = ShardImages([open_shard_set(path) for path in config.shards], real.store.image_size)
    store = cached(images, config.cache, real.device)
    return OfflineRegime(real, views, store, images.views_per_sample, share, key)


def _trainer(config: TrainConfig, image_size: int, accelerator: Accelerator) -> GeneratorTrainer:
    options = {"ema_decay": config.pair_ema_decay, "hardness_clip": config.hardness_clip}
    if config.generator_learning_rate is not None:
        options["learning_rate"] = config.generator_learning_rate
    folder = locate_generator(config.generator)
    trainer = load_trainer(folder, device=accelerator.device, synchronise=average_gradients, **options)
    if trainer.generator.image_size != image_size:
        size = trainer.generator.image_size
        raise UsageError(
            f"--generator {config.generator} makes images of {size} pixels, and the training is at {image_size}; "
            f"give --image-size {size}, or a generator of {image_size} pixels"
        )
    return trainer


def _online_options(config: TrainConfig, total_steps: int) -> OnlineOptions:
    target = config.pair_similarity_range()
    return OnlineOptions(
        hard=config.hard,
        pairs=config.pairs,
        hard_weight=config.hard_weight,
        ramp_steps=round(config.hard_ramp * total_steps),
        similarity=SimilarityTarget(*target, total_steps, config.pair_ema_decay) if target is not None else None,
    )
