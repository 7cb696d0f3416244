"""Evaluations by the names of their commands."""

import dataclasses
import inspect

import click
import pytest

from synthcl.cli import main
from synthcl.pipeline import evaluation
from synthcl.pipeline.errors import UsageError
from synthcl.pipeline.evaluation.table import TASKS, TaskEntry, evaluate


@pytest.fixture
def called(monkeypatch):
    """What a task's function is called with."""
    calls = []
    monkeypatch.setattr(
        TaskEntry, "load", lambda entry: lambda *given, **options: calls.append((entry, given, options))
    )
    return calls


def test_each_command_of_eval_has_its_task():
    command = main.get_command(None, "eval")
    assert command.list_commands(None) == list(TASKS)
    for name, entry in TASKS.items():
        params = {p.name: p for p in command.get_command(None, name).params}
        (place,) = [p for p in params.values() if isinstance(p, click.Argument)]
        assert (place.name, place.metavar) == (entry.source, entry.metavar)
        assert {f.name for f in dataclasses.fields(entry.config)} <= params.keys()


@pytest.mark.parametrize("name", TASKS)
def test_each_task_is_a_function_of_its_source_and_its_options(name):
    entry = TASKS[name]
    function = entry.load()
    assert getattr(evaluation, entry.function) is function and entry.function in evaluation.__all__
    assert function.options is entry.config
    source, data, *others = inspect.signature(function).parameters.values()
    assert (source.name, data.name, data.kind) == (entry.source, "data", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    assert {p.kind for p in others} == {inspect.Parameter.KEYWORD_ONLY}


def test_a_task_is_called_with_the_source_the_images_and_the_options(called):
    evaluate("runs/a", "digits", "knn", k=5)
    assert called == [(TASKS["knn"], ("runs/a", "digits"), {"k": 5})]


def test_without_a_name_it_is_the_linear_probe(called):
    evaluate("runs/a", "digits")
    assert called == [(TASKS["linear"], ("runs/a", "digits"), {})]


def test_an_unknown_task_lists_the_choices():
    with pytest.raises(UsageError, match="there is no evaluation 'linaer'; choose one of linear, knn, finetune"):
        evaluate("runs/a", "digits", "linaer")


def test_an_unknown_name_of_the_package_is_named():
    with pytest.raises(AttributeError, match="attribute evaluate_linaer"):
        _ = evaluation.evaluate_linaer
