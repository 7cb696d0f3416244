"""Options of `synthcl runs ...`."""

from __future__ import annotations

from dataclasses import dataclass

from ..options.config import Config, option


@dataclass(kw_only=True)
class ShowConfig(Config):
    out: str | None = option(
        None, help="Draw the curves of metrics.jsonl to a picture.", metavar="FILE.png", ending=".png"
    )
    watch: bool = option(False, help="Show progress and curves in the terminal until the run ends, or Ctrl-C.")
