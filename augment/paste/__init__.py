"""Real defects cut out and pasted into good images, and Perlin-noise texture defects: the baseline of every generator.

What a command calls:

- `METHODS`: `alpha`, `poisson`, `perlin`.
- `pasted_samples(defective, good, *, count, method="alpha", seed=0, framing=None) -> Iterator[Made]`
- `Paster(defective, good, method=..., seed=..., framing=...)`, with `make(index) -> Made`: any item in any order.
- `write_pasted(out, paster, count, *, resume=False, on_progress=None) -> int`: a sample folder of them.

Give the samples of the training split only: nothing else is read. Where `good` is empty, the defective images are the
grounds as well, and the label then holds their own defects too.
"""

from __future__ import annotations

from augment.paste.folder import write_pasted
from augment.paste.made import METHODS, Made
from augment.paste.paster import Paster, pasted_samples

__all__ = ["METHODS", "Made", "Paster", "pasted_samples", "write_pasted"]
