"""What one process of several does for all of them, and what happens to the others when it cannot."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from engine.errors import MagnaError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Result = TypeVar("Result")


def by_the_first(fabric: Fabric, action: Callable[[], Result]) -> Result | None:
    """Process 0 acts while the others wait; when it fails, it says so and the others leave without a word.

    Args:
        fabric: Launched; every process must come here.
        action: Called in process 0 only.

    Returns:
        The action's result; None in the other processes.

    Raises:
        Exception: In process 0, what the action raised.
        SystemExit: In the others, with the same exit code.
    """
    if fabric.world_size == 1:
        return action()
    import torch

    result, issue = None, None
    if fabric.is_global_zero:
        try:
            result = action()
        except Exception as error:  # whatever it is, the others must not wait for ever
            issue = error
    code = 0 if issue is None else issue.exit_code if isinstance(issue, MagnaError) else 1
    verdict: Any = fabric.all_reduce(torch.tensor(float(code), device=fabric.device), reduce_op="sum")
    if issue is not None:
        raise issue
    if int(verdict):
        sys.exit(int(verdict))
    return result
