"""Which image files are there more than once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np


def has_copy(paths: Sequence[str], root: Path) -> np.ndarray:
    """Of which files another one has the same bytes.

    Only files of the same length are read. Links and other names of a file are copies of it; one
    that is empty or cannot be read is none.

    Args:
        paths: below ``root``.
        root: their folder.

    Returns:
        ``[N]`` booleans.
    """
    files = [os.path.join(root, path) for path in paths]
    shared = np.zeros(len(files), bool)
    for group in _groups(range(len(files)), [_length(file) for file in files]):
        digests = {i: _digest(files[i]) for i in group}
        for same in _groups(group, digests):
            shared[same] = True
    return shared


def _groups(positions: Sequence[int], keys: Sequence | dict) -> list[list[int]]:
    """Positions whose keys are equal, where there are two or more; None is equal to nothing."""
    found: dict = {}
    for i in positions:
        if keys[i] is not None:
            found.setdefault(keys[i], []).append(i)
    return [group for group in found.values() if len(group) > 1]


def _length(file: str) -> int | None:
    try:
        return os.stat(file).st_size or None  # an empty file is no image
    except OSError:
        return None


def _digest(file: str) -> bytes | None:
    try:
        return hashlib.blake2b(Path(file).read_bytes(), digest_size=16).digest()
    except OSError:
        return None
