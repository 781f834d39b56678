"""What the authors of the benchmarks published about their lists."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class BenchmarkFacts:
    """Figures of a benchmark; shot groups by the rule many > 100, medium 20 to 100, few < 20.

    Attributes:
        images: training images.
        most: images of the largest class.
        least: images of the smallest class.
        many: number of many-shot classes.
        medium: number of medium-shot classes.
        few: number of few-shot classes.
        sha256: of the training counts by class id, as little-endian int64.
        evaluation: images of every class in the other splits, whose lists are balanced.
    """

    images: int
    most: int
    least: int
    many: int
    medium: int
    few: int
    sha256: str
    evaluation: dict[str, int]

    def difference(self, counts: Sequence[int] | np.ndarray, split: str = 'train') -> str | None:
        """How a list differs from the published one, in a few words; None where it does not.

        Args:
            counts: images of each class.
            split: which list it is.
        """
        n = np.asarray(counts, dtype='<i8')
        if split != 'train':
            return _imbalance(n, self.evaluation[split])
        found = dict(images=n.sum(), most=n.max(), least=n.min(), many=(n > 100).sum(),
                     medium=((n >= 20) & (n <= 100)).sum(), few=(n < 20).sum())
        parts = [f'{name} {value} (published: {getattr(self, name)})'
                 for name, value in found.items() if value != getattr(self, name)]
        if not parts and count_digest(n) != self.sha256:
            parts = ['totals as published, but single classes have other counts (are the label '
                     'ids in another order?)']
        return ', '.join(parts) or None


def _imbalance(n: np.ndarray, each: int) -> str | None:
    """How a list differs from one of ``each`` images for every class; None where it does not."""
    off = np.flatnonzero(n != each)
    if not len(off):
        return None
    total = each * len(n)
    parts = [f'images {n.sum()} (published: {total})'] if n.sum() != total else []
    parts.append(f'{len(off)} of {len(n)} classes without their {each} images, such as class '
                 f'{off[0]} with {n[off[0]]}')
    return ', '.join(parts)


def count_digest(counts: Sequence[int] | np.ndarray) -> str:
    """SHA-256 of a count vector as little-endian int64."""
    return hashlib.sha256(np.asarray(counts, dtype='<i8').tobytes()).hexdigest()


IMAGENET_LT = BenchmarkFacts(
    images=115846, most=1280, least=5, many=385, medium=479, few=136,
    sha256='3d8c615a8d2def22940b8c4989aa1d6454f42e93dde096f077b0dde67cd4dc08',
    evaluation=dict(val=20, test=50))
PLACES_LT = BenchmarkFacts(
    images=62500, most=4980, least=5, many=131, medium=163, few=71,
    sha256='e0663b33a6ba642086ead631231389a5616cc7dc5fc0eb6942ca49c619454e5a',
    evaluation=dict(val=20, test=100))
INATURALIST18 = BenchmarkFacts(
    images=437513, most=1000, least=2, many=842, medium=4076, few=3224,
    sha256='346e4680da71ca04bece059aa857b031964c3a2d3e152f65064b2e019c0fb038',
    evaluation=dict(val=3, test=3))
