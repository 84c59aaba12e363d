"""Threads of PyTorch, and memory that stays with the process between training steps."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def threads_set(threads: int | None) -> Iterator[None]:
    """PyTorch on so many threads, and as before afterwards; None leaves them."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


_MMAP_MAX, _TRIM_THRESHOLD = -4, -1  # of mallopt(3)


def keep_memory() -> bool:
    """Tells the C library to keep freed memory for this process, where it is glibc.

    By default every large array comes fresh from the system and is cleared page by page: at 384 px that was a quarter
    of a training step. The process then stays as large as it ever was.

    Returns:
        Whether the allocator took the setting.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    return bool(mallopt(_MMAP_MAX, 0)) and bool(mallopt(_TRIM_THRESHOLD, -1))
