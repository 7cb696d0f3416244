"""`synthcl eval ...`: a command for each entry of the table of evaluations."""

from __future__ import annotations

import click

from ..pipeline.configs.evaluate import QualityConfig
from ..pipeline.evaluation.table import TASKS, TaskEntry
from ..pipeline.options.config import Config
from ..pipeline.progress.line import announce
from ..pipeline.runs.folder import command_of
from .command import Command, Group, argument, config_options, json_option
from .completion import complete_run
from .evaluation_tables import print_evaluation
from .following import after_evaluating, after_sampling, say_next


@click.group(name="eval", cls=Group)
def evaluate() -> None:
    """Evaluate an encoder, or the quality of synthetic images.

    RUN is a run of `synthcl train` or an encoder's folder. Results are also kept in RUN/evaluations/.
    """


def _add_command(name: str, entry: TaskEntry) -> None:
    """Give `eval` the command of an evaluation."""

    @evaluate.command(name, cls=Command, help=entry.summary)
    @argument(entry.source, metavar=entry.metavar, shell_complete=complete_run)
    @config_options(entry.config)
    @json_option
    def command(config: Config, as_json: bool, **places: str) -> None:
        announce("loading torch")
        source = places[entry.source]
        print_evaluation(entry.load()(source, config), as_json)
        _say_next(source, config, as_json)


def _say_next(source: str, config: Config, as_json: bool) -> None:
    if not isinstance(config, QualityConfig):
        after_evaluating(source, as_json)
    elif command_of(source) is not None:
        after_sampling(source, as_json)
    elif _is_shard_set(source):
        say_next(as_json, "shards", "preview", source, "--data", config.data, "--out", "samples.png")


def _is_shard_set(source: str) -> bool:
    from ..pipeline.evaluation.samples import is_shard_set  # this imports torch

    return is_shard_set(source)


for _name, _entry in TASKS.items():
    _add_command(_name, _entry)
