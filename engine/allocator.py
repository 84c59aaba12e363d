"""Memory that a process gives back and asks for again at every step of a training: it is kept instead."""

from __future__ import annotations

import ctypes
import sys

__all__ = ["keep_memory"]

_MMAP_MAX, _TRIM_THRESHOLD = -4, -1  # of mallopt(3)


def keep_memory() -> bool:
    """Tells the C library to keep freed memory for this process, where it is glibc.

    By default every large array comes fresh from the system and is cleared page by page: at 384 px that was a quarter
    of a training step. The process then stays as large as it ever was.

    Returns:
        Whether it was told.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    return bool(mallopt(_MMAP_MAX, 0)) and bool(mallopt(_TRIM_THRESHOLD, -1))
