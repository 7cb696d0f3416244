"""Writes `pipeline/__init__.pyi`: what editors and type checkers know of the functions of `synthcl.pipeline`.

    python tools/stubs.py

Their options are fields of configs, which only running code sees; here each becomes a keyword argument. A test holds
the file equal to the configs.
"""

from __future__ import annotations

import dataclasses
import inspect
import textwrap
from pathlib import Path
from typing import Any

from synthcl import pipeline
from synthcl.pipeline.evaluation.table import TASKS
from synthcl.pipeline.options.config import Config
from synthcl.pipeline.options.types import OptionInfo, OptionType, default_of, is_required, option_types

STUB = Path(__file__).parent.parent / "pipeline" / "__init__.pyi"
MODULES = {name: f".{module}" for module, names in pipeline._EXPORTS.items() for name in names}
HEAD = '''"""The signatures of `synthcl.pipeline`, written by tools/stubs.py from the configs. Do not edit."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal, overload

'''


def stub() -> str:
    """The whole text."""
    imports, functions = [], []
    for name in pipeline.__all__:
        found = getattr(pipeline, name)
        config = getattr(found, "options", None)
        if name == "evaluate":
            functions += [evaluate_overload(task, entry.config) for task, entry in TASKS.items()]
        elif config is not None:
            functions += overloads(name, found, config)
            imports.append((f".configs.{config.__module__.rpartition('.')[2]}", config.__name__))
        elif not (isinstance(found, type) and issubclass(found, Config)):
            imports.append((MODULES[name], name))
    lines = [f"from {module} import {name} as {name}" for module, name in sorted(set(imports))]
    exported = "".join(f'    "{name}",\n' for name in pipeline.__all__)
    return HEAD + "\n".join(lines) + f"\n\n__all__ = [\n{exported}]\n\n" + "\n".join(functions)


def overloads(name: str, function: Any, config: type[Config]) -> list[str]:
    """Two: with a config, and with options by name."""
    *leading, last = inspect.signature(inspect.unwrap(function)).parameters.values()
    first = "".join(f"{p.name}: {p.annotation}, " for p in leading)
    summary = (inspect.getdoc(function) or "").splitlines()[0]
    return [
        f"@overload\ndef {name}({first}{last.name}: {config.__name__}, /) -> dict[str, Any]: ...\n",
        definition(name, [f"{p.name}: {p.annotation}" for p in leading], summary, config),
    ]


def evaluate_overload(task: str, config: type[Config]) -> str:
    """Of `evaluate` with one task, whose name may be left out if it is the one by default."""
    default = inspect.signature(pipeline.evaluate).parameters["task"].default
    data = "Sequence[str]" if option_types(config)["data"].multiple else "str"
    leading = ["source: str | Path", f"data: {data}"]
    leading.append(f'task: Literal["{task}"] = "{task}"' if task == default else f'task: Literal["{task}"]')
    return definition("evaluate", leading, f"What `synthcl eval {task}` does.", config, but=("data",))


def definition(name: str, leading: list[str], summary: str, config: type[Config], but: tuple[str, ...] = ()) -> str:
    """A function whose keyword arguments are the options of a config, with their help."""
    fields = [f for f in dataclasses.fields(config) if f.name not in but]
    fields.sort(key=lambda f: not is_required(f))  # those that must be given come first
    kinds = option_types(config)
    arguments = [*leading, "*", *(argument(f, kinds[f.name]) for f in fields)]
    helps = [f"{f.name}: {f.metadata['option'].help}" for f in fields]
    wrapped = [line for text in helps for line in textwrap.wrap(text, 110, subsequent_indent="    ")]
    doc = "\n".join(f"        {line}".rstrip() for line in wrapped)
    listed = "".join(f"    {argument},\n" for argument in arguments)
    return f'@overload\ndef {name}(\n{listed}) -> dict[str, Any]:\n    """{summary}\n\n    Args:\n{doc}\n    """\n'


def argument(f: dataclasses.Field, kind: OptionType) -> str:
    """An option as a keyword argument."""
    if is_required(f):
        return f"{f.name}: {type_of(kind, f.metadata['option'])}"
    default = default_of(f)
    shown = repr(default).replace("'", '"') if not isinstance(default, (list, dict)) else "..."
    return f"{f.name}: {type_of(kind, f.metadata['option'])} = {shown}"


def type_of(kind: OptionType, info: OptionInfo) -> str:
    """What the option takes in Python, which is a little more than it becomes."""
    if kind.mapping:
        return "dict[str, Any]"
    one = kind.kind.__name__
    if info.choices is not None:
        one = f"Literal[{', '.join(f'{chr(34)}{choice}{chr(34)}' for choice in info.choices)}]"
        one += " | str" if info.or_class else ""
    elif (info.metavar or "").startswith(("DIR", "FILE", "RUN", "SPEC")):
        one = "str | PathLike[str]"
    return (f"Sequence[{one}]" if kind.multiple else one) + (" | None" if kind.optional else "")


if __name__ == "__main__":
    STUB.write_text(stub())
