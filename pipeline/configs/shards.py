"""Options of `synthcl shards ...`."""

from __future__ import annotations

from dataclasses import dataclass

from ..options.config import Config, option
from . import common
from .ray import RayConfig


@dataclass(kw_only=True)
class VerifyConfig(Config):
    decode: bool = option(False, help="Decode every image too.")


@dataclass(kw_only=True)
class ShardPreviewConfig(Config):
    out: str = option(help="The picture to write.", metavar="FILE.png", ending=".png")
    num_samples: int = option(64, help="Samples to show at most.", minimum=1, maximum=4096)
    columns: int = option(8, help="Samples a row.", minimum=1, maximum=64)
    sort: str | None = option(
        None,
        help="Show the samples with the largest values of a column, such as hardness; samples that are spread evenly "
        "over the set if not given.",
        metavar="COLUMN",
    )
    ascending: bool = option(False, help="Show the smallest values of --sort instead.", needs="sort")
    where: str | None = option(
        None, help="Take only samples that meet a condition, such as 'nearest_real_distance < 0.3'.", metavar="EXPR"
    )
    data: str | None = option(None, help="Real images, for a row of them above.", metavar="SPEC")
    data_root: str | None = common.data_root_option(needs="data")


@dataclass(kw_only=True)
class CardOptions(Config):
    """What a set's card says beside what the set itself does."""

    data: str | None = option(None, help="Real images, for a row of the card's picture.", metavar="SPEC")
    data_root: str | None = common.data_root_option(needs="data")
    license: str | None = common.license_option()

    def images(self) -> dict[str, str | None]:
        """The options of `ShardPreviewConfig` that say which real images the picture has."""
        return {"data": self.data, "data_root": self.data_root}


@dataclass(kw_only=True)
class CardConfig(CardOptions):
    pass


@dataclass(kw_only=True)
class PushConfig(CardOptions):
    to: str = option(help="The repository on the Hugging Face hub; made if it does not exist.", metavar="USER/NAME")
    private: bool = option(False, help="Make a new repository for its owner alone.")


@dataclass(kw_only=True)
class ScoreConfig(RayConfig):
    encoder: str = option(help="The run whose encoder looks at the samples, or an encoder's folder.", metavar="RUN")
    data: str | None = option(
        None, help="Real images: adds each sample's distance to the nearest of them.", metavar="SPEC"
    )
    data_root: str | None = common.data_root_option()
    name: str = option("score", help="Name of the side table.")
    clusters: int = option(10, help="How many clusters to find.", minimum=2)
    batch_size: int = option(
        256,
        help="Samples at once. A sample is compared with the others of its batch, so hardness depends on it.",
        minimum=1,
    )
    seed: int = option(0, help="Seed of the views and of the clusters.", minimum=0, maximum=2**63 - 1)
    overwrite: bool = option(False, help="Replace a table of that name, such as one of a set that has grown since.")
