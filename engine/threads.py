"""How many threads PyTorch computes with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["threads_set"]


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
