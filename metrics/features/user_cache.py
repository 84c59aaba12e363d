"""Where what can be computed again is kept between runs."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["user_cache"]


def user_cache(*parts: str) -> Path:
    """A place below `magna-defect` in the user's cache folder (XDG_CACHE_HOME, else ~/.cache); not made here."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    home = Path(given) if os.path.isabs(given) else Path("~/.cache").expanduser()
    return home.joinpath("magna-defect", *parts)
