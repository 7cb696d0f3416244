"""What cannot be written of a run is told with its folder and with how the run goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from ..errors import DataError


@contextmanager
def writing_to(run: Path) -> Iterator[None]:
    """Within, files of a run are written.

    Args:
        run: its folder.

    Raises:
        DataError: one cannot be written, as on a full disk.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:  # safetensors tells a full disk by an error of its own
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise DataError(
            f"cannot save the run in {run}: {reason}; once there is room and it may be written, run the same command "
            "again, which goes on from the last checkpoint"
        ) from None
