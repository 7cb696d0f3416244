"""What every command has: options from a config class, `--json`, `--config`, `--dry-run`, `--debug`, and errors as
sentences."""

from __future__ import annotations

import dataclasses
import errno
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ..pipeline.configs.presets import find_options, preset_families
from ..pipeline.errors import RunStopped, UsageError
from ..pipeline.options.config import Config, override, read_yaml, refuse_unknown, write_yaml
from ..pipeline.options.types import (
    HEADINGS,
    OptionInfo,
    OptionType,
    default_of,
    did_you_mean,
    flag,
    is_required,
    option_types,
)
from ..pipeline.options.values import from_text
from ..pipeline.progress.line import is_main_process
from .completion import complete_file, complete_options, completion_for

if TYPE_CHECKING:
    from rich.table import Table

REQUIRED, OTHERS = "Required", "Options"
"""The first and the last heading of `--help`."""
DRY_RUN_HELP = "Print the resolved options as YAML, with --json as JSON, and stop."
MAX_COLUMNS = 10_000
"""Characters in a line of a table at most. Ours: longer than any path."""


class Group(click.Group):
    """A group of commands that says which one a misspelt name may have meant, and what each does, uncut."""

    def summary(self, ctx: click.Context, name: str) -> str:
        """What command `name` does, for the list of commands: the first sentence of its help."""
        command = self.get_command(ctx, name)
        return command.get_short_help_str(limit=MAX_COLUMNS) if command is not None else ""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands, in the order in which the code adds them."""
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.summary(ctx, name)) for name in self.list_commands(ctx)])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            near = did_you_mean(name, self.list_commands(ctx))
            raise click.UsageError(f"there is no command {name!r}{near}", ctx)
        return super().resolve_command(ctx, args)


class Command(click.Command):
    """A command whose errors are one sentence: exit code 2 for wrong usage, 75 for a run that a scheduler's
    signal stopped and that has saved, 1 for anything else.

    `--debug` lets the traceback through.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(
            click.Option(["--debug"], is_flag=True, expose_value=False, help="Show the traceback of an error.")
        )

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Options under their headings: those that must be given first, those that every command has last."""
        sections: dict[str, list[tuple[str, str]]] = {name: [] for name in (REQUIRED, *HEADINGS, OTHERS)}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                sections[getattr(parameter, "heading", OTHERS)].append(record)
        for heading, records in sections.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)

    def make_context(self, info_name, args, parent=None, **extra):
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
            raise _Failure(describe(error), getattr(error, "exit_code", 1)) from None


class _Failure(click.ClickException):
    """An error in a sentence, with the exit code that it asks for."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.__dict__["exit_code"] = exit_code  # click has it as a variable of the class


_FULL = "; free some space and run the same command again, which goes on or begins anew"
_WHAT_HELPS = {errno.ENOSPC: _FULL, errno.EDQUOT: _FULL}
"""The rest of a sentence about an error of the system, by its number."""


def describe(error: Exception) -> str:
    """An error in a sentence; one that was not meant for users says what it is and how to see more."""
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror}{_WHAT_HELPS.get(error.errno or 0, '')}"
    if isinstance(error, (ValueError, OSError, RunStopped)) and str(error):
        return str(error)
    return f"{type(error).__name__}: {error} (unexpected; run again with --debug for the traceback)"


def argument(name: str, *, default: str | None = None, **options: Any) -> Callable[[Callable], Callable]:
    """A positional argument, which may stand in the `--config` file too: it is asked for when that has been read."""
    return click.argument(name, required=False, default=None, cls=Argument, value_if_none=default, **options)


class Argument(click.Argument):
    """See `argument`."""

    def __init__(self, *args: Any, value_if_none: str | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.value_if_none = value_if_none


def config_options(
    config: type[Config],
    *,
    presets: str | None = None,
    dry_run: Callable[..., None] | None = None,
    dry_run_help: str = DRY_RUN_HELP,
) -> Callable[[Callable], Callable]:
    """Gives a command one option for each field of `config`, and `--config FILE` and `--dry-run`.

    The command's function is called with the checked config and whatever other parameters it declares itself.

    Args:
        config: the options.
        presets: the command whose presets `--config` takes by name; None where there are none.
        dry_run: what `--dry-run` does, called as the command's function is; without it the options are printed.
        dry_run_help: what the help says of it.
    """
    plan = dry_run

    def decorate(function: Callable) -> Callable:
        names = [f.name for f in dataclasses.fields(config)]
        kinds = option_types(config)

        @click.pass_context
        def run(context: click.Context, **values: Any) -> Any:
            file, dry_run = values.pop("config_file"), values.pop("dry_run")
            given = {name: values.pop(name) for name in names}
            given |= {name: dict(given[name]) for name, kind in kinds.items() if kind.mapping}
            explicit = {
                n: v for n, v in given.items() if context.get_parameter_source(n) is not ParameterSource.DEFAULT
            }
            places = [p for p in context.command.params if isinstance(p, Argument)]
            in_file = _read_options(file, config, places, presets)
            arguments = _arguments(context, places, values, in_file)
            resolved = config.from_values(override(in_file, explicit, config))
            resolved.check_given(explicit)
            if dry_run and plan is not None:
                return plan(resolved, **{**values, **arguments})
            if dry_run:
                resolved.try_out()
                options = {**arguments, **resolved.to_dict()}
                click.echo(json.dumps(options) if values.get("as_json") else write_yaml(options).rstrip("\n"))
                return None
            return function(resolved, **{**values, **arguments})

        run.__doc__ = function.__doc__
        run.__name__ = function.__name__
        defaults = {f.name: default_of(f) for f in dataclasses.fields(config)}
        params = [_click_option(f, kinds[f.name], defaults) for f in dataclasses.fields(config)]
        params.append(
            click.Option(
                ["--config", "config_file"],
                metavar="FILE|NAME" if presets else "FILE",
                shell_complete=complete_options(presets) if presets else complete_file,
                help=_config_help(presets),
            )
        )
        params.append(click.Option(["--dry-run"], is_flag=True, help=dry_run_help))
        run.__click_params__ = [*params, *reversed(getattr(function, "__click_params__", []))][::-1]  # type: ignore[attr-defined]
        return run

    return decorate


def _config_help(presets: str | None) -> str:
    if presets is None:
        return "Take options from a YAML file; those given here win."
    names = ", ".join(preset_families(presets))
    return f"Take options from a YAML file, or from a preset ({names}); those given here win."


def _read_options(
    file: str | None, config: type[Config], places: Sequence[Argument], presets: str | None
) -> dict[str, Any]:
    """The options and arguments in a `--config` file or preset.

    Raises:
        UsageError: a file that cannot be read, or a name in it that is no option of the command.
    """
    if file is None:
        return {}
    values = read_yaml(find_options(presets, file) if presets is not None else file)
    refuse_unknown(config, [n for n in values if n not in [p.name for p in places]], f" in --config {file}")
    return values


def _arguments(
    context: click.Context, places: Sequence[Argument], given: dict[str, Any], in_file: dict[str, Any]
) -> dict[str, str]:
    """The positional arguments, taken out of `in_file` where they are not given on the command line.

    Raises:
        click.MissingParameter: one that is nowhere.
    """
    found = {}
    for place in places:
        name = str(place.name)
        values = (given[name], in_file.pop(name, None), place.value_if_none)
        value = next((value for value in values if value is not None), None)
        if value is None:
            raise click.MissingParameter(ctx=context, param=place)
        found[name] = str(value)
    return found


class Option(click.Option):
    """An option of a config.

    Attributes:
        heading: what it stands under in `--help`.
    """

    def __init__(self, *args: Any, heading: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.heading = heading


class ChoiceOrClass(click.Choice):
    """One of the choices or a class of the user's, which the config tells apart."""

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str | None:
        return f"[{'|'.join(self.choices)}|package.module:Class]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value


class NameValue(click.ParamType):
    """`NAME=VALUE`, as the two."""

    name = "name=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return value if isinstance(value, tuple) else from_text(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _value_type(info: OptionInfo, wanted: OptionType) -> Any:
    if wanted.mapping:
        return NameValue()
    if info.choices is None:
        return wanted.kind
    return ChoiceOrClass(info.choices) if info.or_class else click.Choice(info.choices)


def _click_option(f: dataclasses.Field, wanted: OptionType, defaults: Mapping[str, Any]) -> click.Option:
    info: OptionInfo = f.metadata["option"]
    name = flag(f.name)
    asks = "; ".join(part for part in (", ".join(info.concerns), _needed(info, defaults), info.range) if part)
    common: dict[str, Any] = {
        "help": f"{info.help}  [{asks}]" if asks else info.help,
        # Click's own `required` would not know of the `--config` file.
        "heading": REQUIRED if is_required(f) else info.group or OTHERS,
    }
    default = defaults[f.name]
    if wanted.kind is bool:
        return Option([f"{name}/--no-{name[2:]}"], default=default, show_default=True, **common)
    return Option(
        [name],
        type=_value_type(info, wanted),
        default=None if wanted.mapping else default,
        show_default=default not in (None, [], {}),
        multiple=wanted.multiple or wanted.mapping,
        metavar=info.metavar,
        shell_complete=completion_for(info.metavar, info.suggestions),
        **common,
    )


def _needed(info: OptionInfo, defaults: Mapping[str, Any]) -> str:
    """The option that another means nothing without, where its default is not enough."""
    unmet = info.unmet_need(defaults)
    return "" if unmet is None else f"with {flag(unmet[0])} {'|'.join(unmet[1])}".rstrip()


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
    from rich.table import Table

    table = Table(title=title, show_header=False, title_justify="left")
    for name, value in result.items():
        if isinstance(value, (dict, list)):
            continue
        table.add_row(name.replace("_", " "), f"{value:.4g}" if isinstance(value, float) else str(value))
    print_table(table)


def new_table(title: str, headings: Sequence[str], numbers: Collection[str] = ()) -> Table:
    """A table of a row for each thing, for `print_table`.

    Args:
        title: of the table.
        headings: of its columns.
        numbers: those of the columns that are set flush right.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title), title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for heading in headings:
        table.add_column(heading, justify="right" if heading in numbers else "left", no_wrap=True)
    return table


def table_lines(table: Table) -> list[str]:
    """The lines of a table, with nothing cut."""
    from rich.console import Console

    console = Console(markup=False, highlight=False, width=MAX_COLUMNS, force_terminal=False)
    with console.capture() as captured:
        console.print(table)
    return [line.rstrip() for line in captured.get().splitlines()]


def print_table(table: Table) -> None:
    """Print a table on stdout with nothing cut: names are what is typed next. One that is too wide wraps."""
    from rich.console import Console

    console = Console(markup=False, highlight=False)
    needed = console.measure(table, options=console.options.update(max_width=MAX_COLUMNS)).maximum
    console.width = max(console.width, needed)
    console.print(table)
