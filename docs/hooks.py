"""What the site needs besides its pages: the package as one folder, and links that do not leave the site."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "build" / "api" / "synthcl"
_LINK_OUT = re.compile(r"\[([^\]]+)\]\(\.\./([^)#]+)(#[^)]*)?\)")


def on_startup(**_: Any) -> None:
    """Put the folders under one that has the package's name: the reference is read from source, without imports."""
    PACKAGE.mkdir(parents=True, exist_ok=True)
    for name in ("cli", "generators", "learners", "pipeline"):
        link = PACKAGE / name
        if link.is_symlink():
            link.unlink()
        link.symlink_to(ROOT / name, target_is_directory=True)


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Name files of the repository that are no pages, where they were links relative to `docs/`."""
    if "/" in page.file.src_uri:
        return markdown  # from a subfolder, ../ leads to a page
    return _LINK_OUT.sub(lambda link: f"{link[1]} (`{link[2]}`)" if link[1] != link[2] else f"`{link[2]}`", markdown)
