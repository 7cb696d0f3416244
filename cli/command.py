"""What every command has: options from a config class, `--json`, `--config`, `--dry-run`, `--debug`, and errors as
sentences."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from typing import Any

import click
from click.core import ParameterSource

from ..pipeline.errors import RunStopped, UsageError
from ..pipeline.options import Config, OptionInfo, flag, option_types, override, read_yaml, write_yaml


class Command(click.Command):
    """A command whose errors are one sentence: exit code 2 for wrong usage, 1 for anything else.

    `--debug` lets the traceback through.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(
            click.Option(["--debug"], is_flag=True, expose_value=False, help="Show the traceback of an error.")
        )

    def make_context(self, info_name, args, parent=None, **extra):  # type: ignore[no-untyped-def]
        # `--debug` is not among the values a command is called with; it is looked up when an error comes.
        debug = "--debug" in args
        context = super().make_context(info_name, args, parent, **extra)
        context.meta["synthcl.debug"] = debug
        return context

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            raise click.ClickException("interrupted; run the same command again to continue") from None
        except UsageError as error:
            if ctx.meta["synthcl.debug"]:
                raise
            raise click.UsageError(str(error), ctx) from None
        except Exception as error:
            if ctx.meta["synthcl.debug"]:
                raise
            raise click.ClickException(describe(error)) from None


def describe(error: Exception) -> str:
    """An error in a sentence; one that was not meant for users says what it is and how to see more."""
    if isinstance(error, (ValueError, OSError, RunStopped)) and str(error):
        return str(error)
    return f"{type(error).__name__}: {error} (unexpected; run again with --debug for the traceback)"


def config_options(config: type[Config]) -> Callable[[Callable], Callable]:
    """Gives a command one option for each field of `config`, and `--config FILE` and `--dry-run`.

    The command's function is called with the checked config and whatever other parameters it declares itself.
    """

    def decorate(function: Callable) -> Callable:
        names = [f.name for f in dataclasses.fields(config)]

        @click.pass_context
        def run(context: click.Context, **values: Any) -> Any:
            file, dry_run = values.pop("config_file"), values.pop("dry_run")
            given = {name: values.pop(name) for name in names}
            explicit = {
                n: v for n, v in given.items() if context.get_parameter_source(n) is not ParameterSource.DEFAULT
            }
            resolved = config.from_values(override(read_yaml(file) if file else {}, explicit, config))
            resolved.check_given(explicit)
            if dry_run:
                click.echo(write_yaml(resolved.to_dict()), nl=False)
                return None
            return function(resolved, **values)

        run.__doc__ = function.__doc__
        run.__name__ = function.__name__
        params = [_click_option(f, option_types(config)[f.name]) for f in dataclasses.fields(config)]
        params.append(
            click.Option(
                ["--config", "config_file"], metavar="FILE", help="Options from a YAML file; those given here win."
            )
        )
        params.append(click.Option(["--dry-run"], is_flag=True, help="Print the resolved options as YAML and stop."))
        run.__click_params__ = [*params, *reversed(getattr(function, "__click_params__", []))][::-1]  # type: ignore[attr-defined]
        return run

    return decorate


def _click_option(f: dataclasses.Field, wanted: Any) -> click.Option:
    info: OptionInfo = f.metadata["option"]
    name = flag(f.name)
    text = info.help
    required = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    default = None if required or wanted.multiple else f.default
    if required:
        text += "  [required]"
    common: dict[str, Any] = {"help": text, "default": default, "show_default": default is not None}
    if wanted.kind is bool:
        return click.Option([f"{name}/--no-{name[2:]}"], **common)
    if wanted.multiple:
        common["default"] = f.default_factory() if f.default_factory is not dataclasses.MISSING else None
        common["show_default"] = bool(common["default"])
    kind: Any = click.Choice(list(info.choices)) if info.choices is not None else wanted.kind
    return click.Option([name], type=kind, multiple=wanted.multiple, metavar=info.metavar, **common)


def json_option(function: Callable) -> Callable:
    """Gives a command `--json`: one JSON object on stdout instead of a table."""
    return click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")(function)


def print_result(result: dict[str, Any], as_json: bool, title: str) -> None:
    """A result on stdout, of the main process alone: one JSON object, or a table of names and values for people."""
    if not is_main_process():
        return
    if as_json:
        click.echo(json.dumps(result, allow_nan=False, default=str))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, show_header=False, title_justify="left")
    for name, value in result.items():
        if isinstance(value, (dict, list)):
            continue
        table.add_row(name.replace("_", " "), f"{value:.4g}" if isinstance(value, float) else str(value))
    Console().print(table)


def is_main_process() -> bool:
    """Whether this is the process that speaks, under a launcher that counts them in RANK, or alone."""
    return os.environ.get("RANK", "0") == "0"
