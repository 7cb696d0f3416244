"""Opening a pipeline from a folder or the hub without trusting it: known classes, safetensors, no code, no pickle."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import diffusers
from diffusers import DiffusionPipeline
from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import HfHubHTTPError, HFValidationError

from .adapters import ADAPTERS, unsupported

INDEX = "model_index.json"
TEXT_PARTS = ("CLIPTextModel", "CLIPTextModelWithProjection", "CLIPTokenizer", "CLIPTokenizerFast")
"""The classes of transformers that are taken, which read prompts."""
LEFT_OUT = ("safety_checker", "feature_extractor", "image_encoder")
"""Parts of text-to-image pipelines that no sample needs here; they are not loaded."""


def open_pipeline(
    source: str | Path, *, allow_pickle: bool = False, trust_remote_code: bool = False
) -> DiffusionPipeline:
    """The pipeline in a local folder, or with a hub id.

    Its index is read first, so that nothing is loaded, or fetched, of what cannot be served.

    Args:
        source: a folder with `model_index.json`, or a hub id such as `google/ddpm-cifar10-32`.
        allow_pickle: read weights in pickled files too, where there are no safetensors.
        trust_remote_code: run code that comes with the pipeline.

    Raises:
        ValueError: nothing there, a hub that cannot be reached, a pipeline that is not served, or one that needs what
            was not allowed.
    """
    index = _read_index(str(source))
    if not trust_remote_code:
        _check_index(str(source), index)
    # None lets diffusers fall back to pickled files, True does not.
    options: dict[str, Any] = {
        "use_safetensors": None if allow_pickle else True,
        "trust_remote_code": trust_remote_code,
    }
    adapter = ADAPTERS.get(str(index.get("_class_name")))
    if adapter is not None and adapter.takes_prompts:
        check_transformers(str(source))
        options |= {part: None for part in LEFT_OUT if part in index}
        options |= {"requires_safety_checker": False} if "requires_safety_checker" in index else {}
    try:
        with _quiet_progress():
            return DiffusionPipeline.from_pretrained(str(source), **options)
    except (OSError, HfHubHTTPError) as error:
        hint = "" if allow_pickle else "; if its weights are pickled files and you trust them, allow_pickle reads them"
        raise ValueError(f"the pipeline {str(source)!r} could not be loaded: {_reason(error)}{hint}") from error


@contextmanager
def _quiet_progress() -> Iterator[None]:
    """Without the bars that diffusers and transformers draw for each part they load; a command has its own progress."""
    modules = [importlib.import_module("diffusers.utils.logging")]
    if importlib.util.find_spec("transformers") is not None:
        modules.append(importlib.import_module("transformers.utils.logging"))
    drawn = [module for module in modules if module.is_progress_bar_enabled()]
    for module in drawn:
        module.disable_progress_bar()
    try:
        yield
    finally:
        for module in drawn:
            module.enable_progress_bar()


def _read_index(source: str) -> dict[str, Any]:
    if not Path(source).is_dir():
        _check_hub(source)
    elif not (Path(source) / INDEX).is_file():
        raise ValueError(f"no pipeline in {source!r}: there is no {INDEX}; give a folder that diffusers wrote")
    try:
        return DiffusionPipeline.load_config(source)
    except (OSError, HfHubHTTPError, HFValidationError) as error:
        raise ValueError(_nothing_at(source, error)) from error


def _check_hub(source: str) -> None:
    """Ask the hub once for what is not in its cache here: its client would ask again and again for half a minute."""
    try:
        if not isinstance(try_to_load_from_cache(source, INDEX), str):
            get_hf_file_metadata(hf_hub_url(source, INDEX))
    except Exception as error:  # of whichever HTTP library the hub's client uses
        raise ValueError(_nothing_at(source, error)) from error


def _nothing_at(source: str, error: BaseException) -> str:
    return (
        f"no pipeline at {source!r}: there is no such folder, and as a hub id it cannot be reached ({_reason(error)}); "
        "check the name and the network, or give a local folder"
    )


def _check_index(source: str, index: dict[str, Any]) -> None:
    """Refuse classes that are not diffusers' own, pipelines that are not served, and parts that are none of one."""
    name = index.get("_class_name")
    if not isinstance(name, str):
        raise ValueError(_needs_code(source, f"its class {name}"))
    if name not in ADAPTERS:
        raise ValueError(unsupported(name))
    for part, value in index.items():
        if part.startswith("_") or not isinstance(value, list) or value == [None, None]:
            continue
        if part in LEFT_OUT and ADAPTERS[name].takes_prompts:
            continue
        library, kind = value if len(value) == 2 else (None, None)
        if library == "transformers" and kind in TEXT_PARTS:
            continue
        if library != "diffusers":
            raise ValueError(_needs_code(source, f"its {part}, {value},"))
        if not _is_part(kind):
            raise ValueError(
                f"the pipeline {source!r} cannot be opened: its {part}, {value}, is no model and no scheduler of "
                f"diffusers {diffusers.__version__}; give another pipeline"
            )


def _is_part(name: Any) -> bool:
    """Whether diffusers has a model or a scheduler of this name. A pipeline within one would be opened unchecked."""
    kind = getattr(diffusers, name, None) if isinstance(name, str) else None
    return isinstance(kind, type) and issubclass(kind, (diffusers.ModelMixin, diffusers.SchedulerMixin))


def check_transformers(source: str) -> None:
    """Raises ValueError without the library that reads prompts."""
    if importlib.util.find_spec("transformers") is None:
        raise ValueError(
            f"the pipeline {source!r} reads prompts with transformers, which is not installed: pip install transformers"
        )


def _needs_code(source: str, what: str) -> str:
    return (
        f"the pipeline {source!r} needs code of its own: {what} is not part of diffusers; "
        "if you trust it, trust_remote_code runs it"
    )


def _reason(error: BaseException) -> str:
    """The first line of what started it: diffusers wraps it in advice for other uses."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error).strip().split("\n")[0]
