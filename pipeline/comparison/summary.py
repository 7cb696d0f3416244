"""A finished comparison, and its summary as one plain object: result.json, `--json`, and what the report is made of."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..configs.arms import UNTRAINED, Arm
from ..configs.compare import CompareConfig
from ..files import read_json
from .evaluations import ROBUSTNESS, Answer
from .results import costs
from .runs import ComparedRun, by_arm
from .signs import signs
from .statistics import Difference, detectable_difference, num_corrected, seeds_needed, spread
from .verdict import (
    METRICS,
    Efficiency,
    compare_arms,
    data_efficiency,
    default_pairs,
    headline,
    leading,
    meaning,
    sentence,
    winner,
)


@dataclass(frozen=True)
class Comparison:
    """Everything that a comparison found.

    Attributes:
        config: its options.
        data: SPEC of the images that the probes are fitted on.
        runs, answers: what was compared, and what was asked of it.
        mismatches: what the runs differ in beyond the regime, a line each.
        notes: what else a reader must know, a sentence each.
        one_time: seconds and sizes of what all runs share, by name.
    """

    config: CompareConfig
    data: str
    runs: Sequence[ComparedRun]
    answers: Sequence[Answer]
    mismatches: list[str]
    notes: list[str] = field(default_factory=list)
    one_time: dict[str, float] = field(default_factory=dict)

    @property
    def arms(self) -> list[Arm]:
        return [runs[0].arm for runs in by_arm(self.runs).values()]

    @property
    def names(self) -> list[str]:
        """The names of the arms."""
        return [arm.name for arm in self.arms]

    @property
    def reference(self) -> str:
        """The name of the arm that the others are judged against."""
        return self.config.reference_of(self.names)

    def arm(self, name: str) -> Arm:
        """The arm of a name."""
        return next(arm for arm in self.arms if arm.name == name)

    def meaning(self, difference: Difference) -> str | None:
        """What a difference measures, in words; None where there is nothing to say."""
        return meaning(self.arm(difference.arm), self.arm(difference.reference), self.views_per_image)

    @property
    def views_per_image(self) -> int:
        """Views of each real image in the arms that declare no number of their own."""
        shared = [run.config.views_per_image for run in self.runs if "views_per_image" not in run.arm.options]
        return min(shared, default=2)

    @property
    def seeds(self) -> list[int]:
        return sorted({run.seed for run in self.runs})

    def scores(self, chosen: Callable[[Answer], bool]) -> dict[str, dict[int, float]]:
        """Top-1 accuracy by arm and seed, untrained weights last, of the answers that are chosen."""
        found: dict[str, dict[int, float]] = {}
        for name in (*self.names, UNTRAINED):
            own = {a.seed: a.top1 for a in self.answers if a.arm == name and chosen(a)}
            if own:
                found[name] = own
        return found

    def primary(self) -> dict[str, dict[int, float]]:
        """The scores that decide, those of --metric."""
        return self.judged_by(self.config.metric)

    def judged_by(self, metric: str) -> dict[str, dict[int, float]]:
        """The scores by one of `METRICS`."""
        return self.scores(lambda a: a.question.task == metric and _whole(a) and not a.question.transfer)

    def at_fraction(self, fraction: float) -> dict[str, dict[int, float]]:
        """The linear probe with a part of the labels."""
        return self.scores(
            lambda a: a.question.task == "linear" and not a.question.transfer and a.question.label_fraction == fraction
        )

    def transferred(self) -> dict[str, dict[str, dict[int, float]]]:
        """The linear probe on other images, by their SPEC; with that of those scored on, where one has several."""
        asked = list(dict.fromkeys(self.config.transfers()))
        times = Counter(data for data, _ in asked)

        def of(images: tuple[str, str | None]) -> dict[str, dict[int, float]]:
            return self.scores(lambda a: a.question.transfer and (a.question.data, a.question.test_data) == images)

        return {data if times[data] == 1 else f"{data}, scored on {test}": of((data, test)) for data, test in asked}

    def corrupted(self) -> dict[str, dict[int, float]]:
        """The linear probe on corrupted images; nothing where that is not asked for."""
        return self.scores(lambda a: a.question.task == ROBUSTNESS)

    def differences(self) -> list[Difference]:
        """The differences of the primary scores between arms: those of --judge, or the default ones, and --primary."""
        pairs = self.config.pairs_judged(self.names) or default_pairs(self.arms, self.reference, self.views_per_image)
        return compare_arms(self.primary(), pairs, self.config.primary_comparison(self.names))

    def told(self) -> list[Difference]:
        """Those of the differences that the verdict tells, in its order."""
        controls = [arm.name for arm in self.arms if arm.more_views(self.views_per_image)]
        return leading(self.differences(), self.reference, controls, named=bool(self.config.judge))

    def curves(self) -> dict[str, dict[float, dict[int, float]]]:
        """The linear probe by arm, label fraction and seed."""
        found: dict[str, dict[float, dict[int, float]]] = {name: {} for name in self.names}
        for fraction in self.config.fractions():
            for name, own in self.at_fraction(fraction).items():
                if name in found:
                    found[name][fraction] = own
        return found

    def efficiency(self) -> list[Efficiency]:
        """See `data_efficiency`, over the seeds that all arms have."""
        return data_efficiency(self.curves(), self.reference, self.common_seeds) if self.common_seeds else []

    @property
    def common_seeds(self) -> list[int]:
        """Seeds that all arms have."""
        return [seed for seed in self.seeds if len([run for run in self.runs if run.seed == seed]) == len(self.names)]


def _whole(answer: Answer) -> bool:
    return answer.question.label_fraction == 1


def summarise(comparison: Comparison) -> dict[str, Any]:
    """The summary: plain values alone."""
    differences = comparison.differences()
    told = comparison.told()
    by_metric = {metric: comparison.judged_by(metric) for metric in METRICS}
    table = []
    for name, own in comparison.primary().items():
        runs = [run for run in comparison.runs if run.name == name]
        row = {
            "arm": name,
            "regime": runs[0].regime if runs else name,
            "options": runs[0].arm.flags if runs else "",
            "num_seeds": len(own),
        }
        for metric, scores in by_metric.items():
            row |= {metric: asdict(spread(list(scores[name].values()))), f"{metric}_by_seed": scores[name]}
        costs_of_run = ("seconds", "images_per_second", "steps", "num_synthetic", "shard_bytes")
        table.append(row | {cost: _mean([costs(run)[cost] for run in runs]) for cost in costs_of_run})
    summary = {
        "verdict": headline(told, comparison.mismatches, num_corrected(differences)),
        "winner": winner(comparison.names, differences, comparison.mismatches),
        "metric": METRICS[comparison.config.metric],
        "metric_name": comparison.config.metric,
        "equal": comparison.config.equal,
        "data": comparison.answers[0].values["data"],
        "test_data": comparison.answers[0].values["test_data"],
        "arms": comparison.names,
        "reference": comparison.reference,
        "seeds": comparison.seeds,
        "table": table,
        "differences": [
            {
                **{n: v for n, v in asdict(d).items() if n != "spread"},
                **asdict(d.spread),
                "meaning": comparison.meaning(d),
                "outcome": "unknown" if comparison.mismatches else d.outcome,
                "in_verdict": d in told,
                "sentence": sentence(d, num_corrected(differences), comparison.mismatches),
                "detectable": detectable_difference(d.spread),
                "seeds_needed": seeds_needed(d.spread),
            }
            for d in differences
        ],
        "label_fraction_that_matches_reference": [asdict(found) for found in comparison.efficiency()],
        "transfer": {
            data: {name: asdict(spread(list(own.values()))) for name, own in scores.items()}
            for data, scores in comparison.transferred().items()
        },
        "robustness": {name: asdict(spread(list(own.values()))) for name, own in comparison.corrupted().items()},
        "one_time": comparison.one_time,
        "mismatches": comparison.mismatches,
        "warnings": signs(comparison.runs),
        "notes": comparison.notes,
        "runs": [str(run.path) for run in comparison.runs],
    }
    return json.loads(json.dumps(summary))


def _mean(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return float(np.mean(there)) if there else None


def one_time_costs(config: CompareConfig, generated: dict[str, Any] | None) -> dict[str, float]:
    """What the runs share: pretraining of the generator, where its run tells, and the generated set."""
    shared: dict[str, float] = {}
    if config.generator is not None:
        result = Path(config.generator) / "result.json"
        if result.exists():
            shared["pretrain_seconds"] = read_json(result, "remove it")["seconds"]
    if generated is not None:
        shared |= {"generate_seconds": generated["seconds"], "shard_bytes": generated["bytes"]}
        shared["num_samples"] = generated["num_samples"]
    return shared
