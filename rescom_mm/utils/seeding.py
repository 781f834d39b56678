"""Seeds that are a function of where a training is, so that no random state has to be stored."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch

# what a seed is for, so that no two purposes share one
SAMPLE, SAMPLER, ITERATION, EPOCH_START, EPOCH_END, VALIDATION = range(6)
_MASK = 2**64 - 1


def derive_seed(*parts: Any) -> Any:
    """A hash of integers: SplitMix64 (Steele et al., OOPSLA 2014), fed with one after another.

    Args:
        parts: integers; the last one may be a ``uint64`` array, for many seeds at once.

    Returns:
        An integer 0 ... 2^64 - 1, or an array of them.
    """
    state: Any = 0
    for part in parts:
        state = (state + part + 0x9E3779B97F4A7C15) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        state = state ^ (state >> 31)
    return state


def seed_generators(seed: int) -> None:
    """Seeds ``random``, ``np.random`` and torch's generators, those of CUDA if it is in use.

    (``torch.manual_seed`` does more, and takes a hundred times as long.)
    """
    random.seed(seed)
    np.random.seed(seed & 0xFFFFFFFF)
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed(seed)
