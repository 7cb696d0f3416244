"""`synthcl eval ...`."""

from __future__ import annotations

import click

from ..pipeline.configs.evaluate import (
    AlignmentConfig,
    FinetuneConfig,
    KnnConfig,
    LinearConfig,
    QualityConfig,
    RobustnessConfig,
    TransferConfig,
)
from ..pipeline.progress.line import announce
from ..pipeline.runs.folder import command_of
from .command import Command, Group, argument, config_options, json_option
from .completion import complete_run
from .evaluation_tables import print_evaluation, print_measures, print_robustness
from .following import after_evaluating, after_sampling, say_next

run_argument = argument("run", metavar="RUN", shell_complete=complete_run)


@click.group(name="eval", cls=Group)
def evaluate() -> None:
    """Evaluate an encoder, or the quality of synthetic images.

    RUN is a run of `synthcl train` or an encoder's folder. Results are also kept in RUN/evaluations/.
    """


@evaluate.command(cls=Command)
@run_argument
@config_options(LinearConfig)
@json_option
def linear(config: LinearConfig, run: str, as_json: bool) -> None:
    """Linear probe: logistic regression on the features of the frozen encoder."""
    announce("loading torch")
    from ..pipeline.evaluation import evaluate_linear

    print_evaluation(evaluate_linear(run, **config.to_dict()), as_json)
    after_evaluating(run, as_json)


@evaluate.command(cls=Command)
@run_argument
@config_options(KnnConfig)
@json_option
def knn(config: KnnConfig, run: str, as_json: bool) -> None:
    """Weighted nearest neighbours in the features of the frozen encoder."""
    announce("loading torch")
    from ..pipeline.evaluation import evaluate_knn

    print_evaluation(evaluate_knn(run, **config.to_dict()), as_json)
    after_evaluating(run, as_json)


@evaluate.command(cls=Command)
@run_argument
@config_options(FinetuneConfig)
@json_option
def finetune(config: FinetuneConfig, run: str, as_json: bool) -> None:
    """Train encoder and classifier together with labels; the run's encoder stays as it is."""
    announce("loading torch")
    from ..pipeline.evaluation import evaluate_finetune

    print_evaluation(evaluate_finetune(run, **config.to_dict()), as_json)
    after_evaluating(run, as_json)


@evaluate.command(cls=Command)
@run_argument
@config_options(TransferConfig)
@json_option
def transfer(config: TransferConfig, run: str, as_json: bool) -> None:
    """Linear probe on several image sets (--data may be repeated), or on a --suite of them."""
    announce("loading torch")
    from ..pipeline.evaluation import evaluate_transfer

    print_evaluation(evaluate_transfer(run, **config.to_dict()), as_json)
    after_evaluating(run, as_json)


@evaluate.command(cls=Command)
@run_argument
@config_options(RobustnessConfig)
@json_option
def robustness(config: RobustnessConfig, run: str, as_json: bool) -> None:
    """Linear probe of clean images on corrupted ones: noise, blur, fog, JPEG and others, in five severities."""
    announce("loading torch")
    from ..pipeline.evaluation import evaluate_robustness

    print_robustness(evaluate_robustness(run, **config.to_dict()), as_json)
    after_evaluating(run, as_json)


@evaluate.command(cls=Command)
@argument("source", metavar="SHARDS|GENERATOR", shell_complete=complete_run)
@config_options(QualityConfig)
@json_option
def quality(config: QualityConfig, source: str, as_json: bool) -> None:
    """Precision, recall, density, coverage, Fréchet distance and memorisation of synthetic images."""
    announce("loading torch")
    from ..pipeline.evaluation import evaluate_quality

    print_measures(evaluate_quality(source, **config.to_dict()), as_json)
    if command_of(source) is not None:
        after_sampling(source, as_json)
    else:
        say_next(as_json, "shards", "preview", source, "--data", config.data, "--out", "samples.png")


@evaluate.command(cls=Command)
@run_argument
@config_options(AlignmentConfig)
@json_option
def alignment(config: AlignmentConfig, run: str, as_json: bool) -> None:
    """Alignment and uniformity of the encoder's features."""
    announce("loading torch")
    from ..pipeline.evaluation import evaluate_alignment

    print_measures(evaluate_alignment(run, **config.to_dict()), as_json)
    after_evaluating(run, as_json)
