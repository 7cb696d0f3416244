"""`synthcl runs show RUN --watch`: a run in the terminal while it goes on. Nothing here imports torch.

Curves are lines of blocks, an eighth of a character high each: they need nothing but a terminal.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click
import numpy as np

from ..pipeline.runs.folder import read_metrics
from ..pipeline.runs.listing import describe_run
from ..pipeline.runs.picture import choose_panels, curve

REFRESH_SECONDS = 2.0
"""Between two looks at a run. Ours: most runs log every few seconds."""
CURVE_WIDTH = 40
"""Characters of a curve. Ours: beside the names and numbers it leaves room in 80 columns."""
BLOCKS = "▁▂▃▄▅▆▇█"


def watch_run(run: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
    """Show a run until it is finished, was interrupted, or Ctrl-C comes. Elsewhere than in a terminal, and in one that
    cannot go back to lines above, each look is printed below the one before.

    Args:
        run: its folder.
        sleep: waits between two looks.

    Raises:
        DataError: no run, or a file of it is damaged.
    """
    with contextlib.suppress(KeyboardInterrupt), _display() as show:
        while True:
            found = describe_run(run)
            show("\n".join(screen(found, read_metrics(run))))
            if found["state"] in ("finished", "interrupted"):
                return
            sleep(REFRESH_SECONDS)


@contextlib.contextmanager
def _display() -> Iterator[Callable[[str], None]]:
    """What shows the lines of a look on stderr: in place of those before where that can be, else below them."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(stderr=True)
    if not console.is_terminal or console.is_dumb_terminal:  # where Live prints the last look alone, or none
        yield lambda lines: click.echo(f"{lines}\n", err=True)
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield lambda lines: live.update(Text(lines, overflow="fold"), refresh=True)


def screen(found: dict[str, Any], rows: Sequence[dict[str, Any]]) -> list[str]:
    """The lines that are shown of a run.

    Args:
        found: what `describe_run` says of it.
        rows: of its `metrics.jsonl`, oldest first.
    """
    facts = (found["command"], found["regime"], found["learner"], found["data"])
    lines = [f"{found['path']}: {', '.join(str(fact) for fact in facts if fact is not None)}, {found['state']}"]
    lines.append(_progress(found))
    if not rows:
        return [*lines, "no metrics yet"]
    names = [name for panel in choose_panels(rows).values() for name in panel]
    width = max(len(name) for name in names)
    for name in names:
        _, values = curve(rows, name)
        lines.append(f"{name.replace('_', ' '):<{width}}  {sparkline(values)}  {values[-1]:.4g}")
    return lines


def _progress(found: dict[str, Any]) -> str:
    unit = "runs" if found["command"] == "compare" else "steps"
    done, total = found[unit] or 0, found[f"total_{unit}"]
    if not total:
        return f"{done:,} {unit}"
    filled = round(CURVE_WIDTH * min(1.0, done / total))
    return f"[{'#' * filled}{'.' * (CURVE_WIDTH - filled)}] {done:,} of {total:,} {unit}, {100 * done / total:.0f}%"


def sparkline(values: np.ndarray, width: int = CURVE_WIDTH) -> str:
    """A curve (T,) as `width` blocks, the lowest for the least value and the highest for the greatest; fewer blocks
    where there are fewer values."""
    means = np.array([part.mean() for part in np.array_split(values, min(width, len(values)))])
    low, span = means.min(), np.ptp(means)
    heights = (means - low) / span * (len(BLOCKS) - 1) if span > 0 else np.zeros(len(means))
    return "".join(BLOCKS[round(float(height))] for height in heights).ljust(width)
