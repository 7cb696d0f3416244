"""What editors and notebooks are told of the Python API is what the configs say."""

import ast
import dataclasses
import importlib.util
import inspect
from pathlib import Path

import pytest

from synthcl import pipeline
from synthcl.pipeline.evaluation.table import TASKS
from synthcl.pipeline.options.types import default_of, is_required

TOOL = Path(__file__).parent.parent / "tools" / "stubs.py"
WITH_OPTIONS = ["compare", "embed", "export", "generate", "pretrain", "train"]


@pytest.fixture(scope="module")
def stubs():
    spec = importlib.util.spec_from_file_location("stubs", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_stub_is_that_of_these_configs(stubs):
    assert stubs.STUB.read_text() == stubs.stub(), "run `make stubs`"


def test_the_stub_names_what_is_exported(stubs):
    tree = ast.parse(stubs.STUB.read_text())
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    imported = {alias.asname for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert set(pipeline.__all__) <= defined | imported
    assert defined == {*WITH_OPTIONS, "evaluate"}
    overloads = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "evaluate"]
    assert [ast.unparse(node.args.args[2].annotation) for node in overloads] == [f"Literal[{name!r}]" for name in TASKS]


@pytest.mark.parametrize("name", WITH_OPTIONS)
def test_the_signature_at_run_time_has_the_options(name):
    function = getattr(pipeline, name)
    parameters = inspect.signature(function).parameters
    for f in dataclasses.fields(function.options):
        parameter = parameters[f.name]
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
        assert (parameter.default is inspect.Parameter.empty) == is_required(f)
        assert is_required(f) or parameter.default == default_of(f)
    assert not [p for p in parameters.values() if p.kind is inspect.Parameter.VAR_KEYWORD]


def test_arguments_before_the_options_may_be_given_by_name(tmp_path):
    with pytest.raises(ValueError, match="there is no run nowhere"):
        pipeline.export(run="nowhere", out=tmp_path / "x")
