from __future__ import annotations

from types import MethodType
from typing import Any

import numpy as np
from mmcv.transforms.utils import cache_randomness


class Draws(cache_randomness):
    """mmcv's ``cache_randomness``, at no cost while nothing is cached.

    That copies itself at each call, which takes longer than many ops on a small image.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        # where it takes the place of a base's method, mmcv would list the name twice
        if name not in getattr(owner, '_methods_with_randomness', ()):
            super().__set_name__(owner, name)

    def __get__(self, obj: Any, cls: type) -> Any:
        if '_cache_enabled' in obj.__dict__:  # by ``cache_random_params``
            return super().__get__(obj, cls)
        return MethodType(self.func, obj)


def random_integer(end: int) -> int:
    """Of 0 ... end - 1, from NumPy's generator; in a fifth of ``np.random.randint``'s time."""
    return int(np.random.random_sample() * end)


def uniform(low: float, high: float) -> float:
    """``np.random.uniform`` of one number, in a fifth of its time."""
    return low + (high - low) * np.random.random_sample()
