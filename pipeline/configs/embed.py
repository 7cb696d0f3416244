"""Options of `synthcl embed`."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import UsageError
from ..options.config import Config, option
from . import common
from .evaluate import PRECISIONS

METHODS = ("tsne", "pca", "umap")
COLOURS = ("class", "source")


@dataclass(kw_only=True)
class EmbedConfig(Config):
    data: list[str] = option(
        [], help="Images: a SPEC as for train, or a shard set; may be repeated, for one table of all.", metavar="SPEC"
    )
    out: str = option(help="The table to write, a row an image.", metavar="FILE.parquet", ending=".parquet")
    num_images: int | None = option(None, help="Images of each --data at most, drawn by --seed.", minimum=1)
    picture: str | None = option(None, help="Draw the embeddings in the plane too.", metavar="FILE.png", ending=".png")
    method: str | None = option(
        None,
        help="How the features come to the plane of --picture; tsne if not given. umap needs umap-learn.",
        choices=METHODS,
        needs="picture",
    )
    color_by: str | None = option(
        None,
        help="What colours mean in --picture; source for several --data, class for one, if not given.",
        choices=COLOURS,
        needs="picture",
    )
    precision: str = option(
        "fp32", help="Precision of the encoder; bf16 is quicker and less exact.", choices=PRECISIONS
    )
    batch_size: int = option(256, help="Images a forward pass.", minimum=1)
    data_root: str | None = common.data_root_option()
    seed: int = common.seed_option()

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.data:
            raise UsageError("Missing option '--data': give one image set or more")
