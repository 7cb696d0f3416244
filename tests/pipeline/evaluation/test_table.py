"""Evaluations by the names of their commands."""

import pytest

from synthcl.cli import main
from synthcl.pipeline.errors import UsageError
from synthcl.pipeline.evaluation import table
from synthcl.pipeline.evaluation.table import TASKS, evaluate


def test_each_command_of_eval_has_its_task():
    command = main.get_command(None, "eval")
    assert set(command.list_commands(None)) == set(TASKS)


def test_a_task_is_called_with_the_source_the_images_and_the_options(monkeypatch):
    monkeypatch.setitem(table.TASKS, "knn", lambda *arguments, **options: (arguments, options))
    assert evaluate("runs/a", "digits", "knn", k=5) == (("runs/a", "digits"), {"k": 5})


def test_without_a_name_it_is_the_linear_probe(monkeypatch):
    monkeypatch.setitem(table.TASKS, "linear", lambda *arguments, **options: "linear")
    assert evaluate("runs/a", "digits") == "linear"


def test_an_unknown_task_lists_the_choices():
    with pytest.raises(UsageError, match="there is no evaluation 'linaer'; choose one of linear, knn, finetune"):
        evaluate("runs/a", "digits", "linaer")
