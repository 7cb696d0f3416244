"""`eval transfer`: the linear probe of one encoder on several image sets, or on a suite of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from ..configs.evaluate import TransferConfig
from ..data.catalogue import NAMED_SETS, SUITES, metric_of
from ..data.specs import parse_spec
from ..encoder import load_encoder
from ..errors import DataError
from .calling import takes_data_and_options
from .probes import evaluate_linear
from .task import open_labeled


class TransferSet(NamedTuple):
    """SPECs of the images to fit on and to score on (None: their test split), and by what they are scored."""

    data: str
    test_data: str | None
    metric: str

    @property
    def location(self) -> str:
        """Where the images to fit on lie, or what they are called."""
        return parse_spec(self.data).location


def transfer_sets(config: TransferConfig) -> list[TransferSet]:
    """Those of the suite, or those that are given."""
    if config.suite is not None:
        suite = SUITES[config.suite]
        return [TransferSet(*specs, metric) for specs, metric in zip(suite.specs(), suite.metrics(), strict=True)]
    tests: Sequence[str | None] = config.test_data or [None] * len(config.data)
    return [
        TransferSet(data, test, metric_of(parse_spec(data).location))
        for data, test in zip(config.data, tests, strict=True)
    ]


@takes_data_and_options(TransferConfig)
def evaluate_transfer(run: str | Path, config: TransferConfig) -> dict[str, Any]:
    """The linear probe of one encoder on several image sets.

    The measure of a set is the customary one (see `data.catalogue`): of most the top-1 accuracy, of some the mean over
    classes. The protocol is that of Kornblith et al. (arXiv 1805.08974) and SimCLR (arXiv 2002.05709, appendix B.8),
    logistic regression on the frozen features of images without augmentation, but for this, which is ours: images have
    the size that the encoder was trained at, features are standardised, and the penalty is chosen on folds of the
    images to fit on.

    Args:
        run: a run of `synthcl train`, or an encoder's folder.
        config: the options, or they by name: `evaluate_transfer("runs/real", ["cifar10", "digits"])`.

    Returns:
        `results`, one of `evaluate_linear` for each set, with its `metric` and its `score` by that; `score` and `top1`,
        the means over sets; `num_train` and `num_test`, the sums; `notes`, what to know of sets, as of a split of ours.

    Raises:
        UsageError: options that cannot be used.
        DataError: no encoder, or sets that are not there: before anything is computed, all of them in one sentence.
    """
    started = time.monotonic()
    sets = transfer_sets(config)
    check_sets(sets, config, load_encoder(run).image_size)
    shared = {n: v for n, v in asdict(config).items() if n not in ("data", "test_data", "suite")}
    results = []
    for one in sets:
        result = evaluate_linear(run, one.data, test_data=one.test_data, **shared)
        results.append({**result, "metric": one.metric, "score": result[one.metric]})
    return {
        "task": "transfer",
        "suite": config.suite,
        "score": _mean(results, "score"),
        "top1": _mean(results, "top1"),
        "num_train": sum(result["num_train"] for result in results),
        "num_test": sum(result["num_test"] for result in results),
        "run": str(run),
        "seconds": round(time.monotonic() - started, 3),
        "notes": notes(sets),
        "results": results,
    }


def notes(sets: Sequence[TransferSet]) -> list[str]:
    """What a reader of the numbers must know of the sets, a line for each of which there is something."""
    known = {one.location: NAMED_SETS[one.location].about for one in sets if one.location in NAMED_SETS}
    return [f"{name}: {about}" for name, about in known.items() if about]


def check_sets(sets: Sequence[TransferSet], config: TransferConfig, image_size: int) -> None:
    """Open all images, downloading what can be, before hours are spent on some of them.

    Raises:
        UsageError: a SPEC that names nothing, or no images to score on.
        DataError: sets that cannot be had. Where one of them is published no more, nothing is downloaded.
    """
    lost = [one for one in sets if one.location in NAMED_SETS and not NAMED_SETS[one.location].downloaded]
    for some in (lost, [one for one in sets if one not in lost]):
        wrong: dict[str, DataError] = {}
        for one in some:
            try:
                open_labeled(one.data, one.test_data, image_size=image_size, data_root=config.data_root)
            except DataError as error:
                wrong[one.location] = error
        if not wrong:
            continue
        first = next(iter(wrong.values()))
        if len(wrong) == 1 and config.suite is None:
            raise first
        asked = f"--suite {config.suite}" if config.suite is not None else "--data"
        raise DataError(
            f"{asked} cannot be evaluated, since {len(wrong)} of its {len(sets)} sets cannot be used "
            f"({', '.join(wrong)}): {first}"
        ) from first


def _mean(results: Sequence[dict[str, Any]], name: str) -> float:
    return sum(result[name] for result in results) / len(results)
