"""`synthcl eval ...`."""

from __future__ import annotations

from typing import Any

import click

from ..pipeline.configs.evaluate import FinetuneConfig, KnnConfig, LinearConfig, TransferConfig
from .command import Command, config_options, json_option
from .evaluation_tables import print_evaluation

run_argument = click.argument("run", metavar="RUN")


@click.group(name="eval")
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
    from ..pipeline.evaluation import evaluate_linear

    print_evaluation(evaluate_linear(run, **_options(config)), as_json)


@evaluate.command(cls=Command)
@run_argument
@config_options(KnnConfig)
@json_option
def knn(config: KnnConfig, run: str, as_json: bool) -> None:
    """Weighted nearest neighbours in the features of the frozen encoder."""
    from ..pipeline.evaluation import evaluate_knn

    print_evaluation(evaluate_knn(run, **_options(config)), as_json)


@evaluate.command(cls=Command)
@run_argument
@config_options(FinetuneConfig)
@json_option
def finetune(config: FinetuneConfig, run: str, as_json: bool) -> None:
    """Train encoder and classifier together with labels; the run's encoder stays as it is."""
    from ..pipeline.evaluation import evaluate_finetune

    print_evaluation(evaluate_finetune(run, **_options(config)), as_json)


@evaluate.command(cls=Command)
@run_argument
@config_options(TransferConfig)
@json_option
def transfer(config: TransferConfig, run: str, as_json: bool) -> None:
    """Linear probe on several image sets (--data may be repeated)."""
    from ..pipeline.evaluation import evaluate_transfer

    print_evaluation(evaluate_transfer(run, **_options(config)), as_json)


def _options(config: Any) -> dict[str, Any]:
    return config.to_dict()
