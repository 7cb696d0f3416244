"""`report.html`: one file that says what a comparison found, and how; it needs no network, and can be read without its
script."""

from __future__ import annotations

import importlib.resources
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from ..configs.arms import UNTRAINED
from ..configs.evaluate import CORRUPTIONS, SEVERITIES
from ..configs.pretrain import PretrainConfig
from ..configs.regimes import REGIMES
from ..errors import DataError, UsageError
from ..evaluation.accuracy import CONFIDENCE
from ..files import write_file
from ..options.config import command_line, write_yaml
from ..runs.folder import RunFolder, read_config
from .caveats import caveats, what_next
from .looks import ALL, Look, looks
from .pictures import strips
from .plan import Budget, generation
from .plots import Curve, accuracy_plot, curve_plot, difference_plot, fraction_plot, thin
from .runs import ComparedRun, by_arm
from .statistics import POWER, num_corrected
from .summary import Comparison
from .verdict import efficiency_sentence, points

TEMPLATE = "report.html.j2"
QUANTITIES = {
    "knn_top1": (
        "kNN accuracy",
        "Nearest neighbours on parts of the train and test images (--eval-every): to watch a training by, not to judge "
        "it.",
    ),
    "pair_similarity": (
        "pair similarity",
        "Cosine similarity of the learner's embeddings across pairs of G and G_ema: it falls as pairs grow harder. "
        "Below the similarity of two views of one image they are no positives any more.",
    ),
    "view_similarity_synthetic": (
        "view similarity",
        "Cosine similarity between two views of one synthetic image, to compare that of pairs with.",
    ),
    "hardness_synthetic": (
        "loss of synthetic views",
        "The mean contrastive loss of synthetic views: hardness. Joint training raises it for a given learner.",
    ),
    "hardness_real": (
        "loss of real views",
        "The mean contrastive loss of real views: how hard real images are for the learner beside the batch's other "
        "images.",
    ),
    "frechet_distance": (
        "Fréchet distance of G",
        "Of samples to real images, in the features of --eval-encoder, which G does not attack: lower is nearer.",
    ),
    "precision": ("precision of G", "The part of samples that lie among real images, in the same features."),
    "recall": ("recall of G", "The part of real images that lie among samples, in the same features."),
    "checkerboard": (
        "checkerboard of G",
        "The amplitude of a checkerboard in samples, in levels of 255, which the Fréchet distance hardly sees.",
    ),
    "margin": (
        "discriminator's margin",
        "The discriminator's score of real images less that of synthetic ones: nearer to zero is harder to tell apart. "
        "The realism that joint training must not lose.",
    ),
    "hard_guard": ("what the guard leaves", "The part of the hard gradient that the guard lets through: 1 is all."),
    "loss": (
        "loss",
        "The contrastive loss of the whole batch. It does not compare between regimes, whose batches hold different "
        "numbers of positives and negatives.",
    ),
}
"""What is shown over training: by the name in metrics.jsonl, a title and what it means."""
OF_GENERATOR = {
    "frechet_distance": "Fréchet distance",
    "precision": "precision",
    "recall": "recall",
    "checkerboard": "checkerboard",
}
"""What is shown over the pretraining of the generator, with titles."""


def write_report(comparison: Comparison, summary: dict[str, Any], path: Path) -> Path:
    """Write the report, whole or not at all.

    Args:
        comparison: what was found.
        summary: of it.
        path: of the page.
    """
    write_file(path, render(comparison, summary))
    return path


def render(comparison: Comparison, summary: dict[str, Any]) -> str:
    """The page."""
    template = importlib.resources.files(__package__).joinpath(TEMPLATE).read_text()
    page = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    ).from_string(template)
    page.globals.update(points=points, looks=looks(comparison.arms), all_looks=ALL)
    return page.render(
        summary=summary,
        data=comparison.data,
        meanings=[comparison.meaning(difference) for difference in comparison.differences()],
        learner=comparison.runs[0].config.learner,
        backbone=comparison.runs[0].config.backbone,
        differences=comparison.differences(),
        plots=_plots(comparison),
        training=_training_plots(comparison),
        pretraining=_pretraining_plots(comparison),
        arms=_arms(comparison),
        seeds=_seeds(comparison),
        next=what_next(comparison),
        num_corrected=num_corrected(comparison.differences()),
        power=POWER,
        level=1 - CONFIDENCE,
        efficiency=_efficiency(comparison),
        strips=strips(list(comparison.runs), comparison.data, comparison.config.data_root),
        caveats=caveats(comparison),
        commands=_commands(comparison),
        configs=[(f"{run.name}, seed {run.seed}", write_yaml(run.config.to_dict())) for run in _first(comparison)],
        environment=_environment(comparison),
        date=time.strftime("%Y-%m-%d", time.gmtime()),
        untrained=UNTRAINED,
        num_corruptions=len(CORRUPTIONS),
        num_severities=SEVERITIES,
    )


def _plots(comparison: Comparison) -> dict[str, Any]:
    primary, own = comparison.primary(), looks(comparison.arms)
    plots: dict[str, Any] = {
        "accuracy": Markup(accuracy_plot("accuracy", primary, own, "Accuracy by arm")),
        "transfer": [
            (data, Markup(accuracy_plot(f"transfer{number}", scores, own, f"Transfer to {data}")))
            for number, (data, scores) in enumerate(comparison.transferred().items())
        ],
    }
    corrupted = comparison.corrupted()
    if corrupted:
        plots["corrupted"] = Markup(accuracy_plot("corrupted", corrupted, own, "Accuracy on corrupted images"))
    differences = comparison.differences()
    if differences:
        plots["differences"] = Markup(difference_plot("differences", differences, own))
    fractions = comparison.config.fractions()
    if len(fractions) > 1:
        curves = {
            arm: {fraction: list(by_seed.values()) for fraction, by_seed in curve.items()}
            for arm, curve in comparison.curves().items()
        }
        title = "Accuracy by part of the labels"
        plots["fractions"] = Markup(fraction_plot("fractions", curves, own, comparison.reference, title))
    return plots


def _training_plots(comparison: Comparison) -> list[tuple[str, Markup, str]]:
    """Title, plot and meaning of each quantity that was logged."""
    found, own = [], looks(comparison.arms)
    for quantity, (title, words) in QUANTITIES.items():
        found_curves = {arm: _curve(runs, quantity) for arm, runs in by_arm(comparison.runs).items()}
        curves = {arm: curve for arm, curve in found_curves.items() if curve is not None}
        if curves:
            name = quantity.replace("_", "-")
            found.append((title, Markup(curve_plot(name, curves, own, title, words)), words))
    return found


def _pretraining_plots(comparison: Comparison) -> list[tuple[str, Markup]]:
    """Title and plot of each measure of the generator that its pretraining has logged, where its run is there."""
    look = Look("ink", "", "", "o")
    found = []
    for number, path in enumerate(_generators(comparison)):
        rows = RunFolder(Path(path)).metrics.read()
        for quantity, title in OF_GENERATOR.items():
            logged = {row["step"]: row[quantity] for row in rows if quantity in row}
            if len(logged) > 1:
                curve = thin(np.array(list(logged)), np.array([list(logged.values())]))
                name, words = (
                    f"pretraining{number}-{quantity.replace('_', '-')}",
                    f"{title} while {path} was pretrained.",
                )
                found.append((title, Markup(curve_plot(name, {"G": curve}, {"G": look}, title, words))))
    return found


def _arms(comparison: Comparison) -> list[dict[str, str]]:
    """What each arm is."""
    return [
        {"name": arm.name, "summary": REGIMES[arm.regime].summary, "options": arm.flags, "regime": arm.regime}
        for arm in comparison.arms
    ]


def _seeds(comparison: Comparison) -> str:
    """How many seeds each arm has."""
    counts = {arm: len(runs) for arm, runs in by_arm(comparison.runs).items()}
    if len(set(counts.values())) > 1:
        return "unequal numbers of seeds: " + ", ".join(f"{count} of {arm}" for arm, count in counts.items())
    count = next(iter(counts.values()))
    return f"{count} seed{'s' if count != 1 else ''} an arm"


def _generators(comparison: Comparison) -> list[str]:
    """The folders of the generators that runs draw from, and of the one that was given."""
    paths = {run.config.generator for run in comparison.runs} | {comparison.config.generator}
    return sorted(path for path in paths if path is not None)


def _curve(runs: Sequence[ComparedRun], quantity: str) -> Curve | None:
    """A quantity over the steps that all the runs have logged; None if it is none of theirs."""
    logged = [{row["step"]: row[quantity] for row in run.metrics() if quantity in row} for run in runs]
    steps = sorted(set(logged[0]).intersection(*logged[1:]))
    if not steps:
        return None
    return thin(np.array(steps), np.array([[one[step] for step in steps] for one in logged]))


def _efficiency(comparison: Comparison) -> list[str]:
    fractions = comparison.config.fractions()
    if len(fractions) < 2:
        return []
    sentences = [efficiency_sentence(found, fractions, comparison.reference) for found in comparison.efficiency()]
    return [sentence for sentence in sentences if sentence is not None]


def _commands(comparison: Comparison) -> list[tuple[str, list[str], str]]:
    """What to type to have it all again: the one command, and each of its parts on its own. Each with what it does, its
    words, an option with its value as one, and the whole."""
    config = comparison.config
    found = [("the whole comparison", command_line("compare", config))]
    for generator in _generators(comparison):
        try:
            pretraining = PretrainConfig.from_values(read_config(generator))
            found.insert(0, ("the generator", command_line("pretrain", pretraining)))
        except (DataError, UsageError):  # a generator from elsewhere
            continue
    num_samples = comparison.one_time.get("num_samples")
    if num_samples is not None:
        made = generation(config, Budget({}, int(num_samples)))
        assert made is not None, "there is a number of samples"
        found.append(("the offline set", command_line("generate", made)))
    for run in comparison.runs:
        found.append((f"{run.name}, seed {run.seed}", command_line("train", run.config)))
    data = ["--data", comparison.data, *(["--test-data", config.test_data] if config.test_data else [])]
    for run in comparison.runs:
        seed = ["--seed", str(run.seed)] if run.seed else []
        found.append((f"probe of {run.name}, seed {run.seed}",
                      shlex.join(["synthcl", "eval", "linear", str(run.path), *data, *seed])))  # fmt: skip
    return [(title, _parts(command), command) for title, command in found]


def _parts(command: str) -> list[str]:
    """A command in parts that are not to be broken: an option with its value is one."""
    parts: list[str] = []
    for word in shlex.split(command):
        quoted = shlex.quote(word)
        if parts and parts[-1].startswith("--") and " " not in parts[-1] and not word.startswith("--"):
            parts[-1] += f" {quoted}"
        else:
            parts.append(quoted)
    return parts


def _first(comparison: Comparison) -> list[ComparedRun]:
    """One run of each arm."""
    return [runs[0] for runs in by_arm(comparison.runs).values()]


def _environment(comparison: Comparison) -> dict[str, str]:
    """Versions and hardware by name; several values where runs differ."""
    records = [run.record["hardware"] | run.record["versions"] for run in comparison.runs]
    names = dict.fromkeys(name for record in records for name in record)
    found = {name: dict.fromkeys(str(record.get(name)) for record in records) for name in names}
    return {name.replace("_", " "): ", ".join(values) for name, values in found.items() if list(values) != ["None"]}
