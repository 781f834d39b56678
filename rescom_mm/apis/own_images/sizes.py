"""Sizes of queue and mining, and of a test set, for classes of given sizes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

#: test images of a class that has enough of them
TEST_PER_CLASS = 20


class Sizes(NamedTuple):
    """Settings of the contrastive branch; see :func:`suggest_sizes`."""

    keys_per_class: int
    num_positives: int
    num_negatives: int


def suggest_sizes(num_classes: int, median: float) -> Sizes:
    """Sizes of queue and mining, from the paper's benchmarks.

    * ``keys_per_class`` K: a queue of about 4000 keys, as on ImageNet-LT (1000 classes, K=4):
      ``4000 / C``, at most 100 (CIFAR-10) and at least 1. Also at most twice the ``median``: a
      step writes one key an image, so that half of the classes have no key that is older than two
      epochs (the smallest class of CIFAR-100-LT has 5 images and K=10).
    * ``num_positives``: 1, as everywhere in the paper.
    * ``num_negatives``: an eighth of the keys of other classes (ImageNet-LT: 500 of 3996), at most
      500; but with few keys 40 % of them up to 400 (CIFAR-100-LT: 400 of 990).

    A start; the best values differ from data to data.

    Args:
        num_classes: C, at least 2.
        median: training images of the class in the middle.
    """
    keys = max(1, min(round(4000 / num_classes), 100, int(2 * median)))
    others = (num_classes - 1) * keys
    negatives = max(others / 8, min(0.4 * others, 400))
    return Sizes(keys, 1, max(1, min(round(negatives), 500)))


def held_out(sizes: np.ndarray, test_per_class: int) -> np.ndarray:
    """Test images of each class: ``test_per_class``, but of a small class half at most.

    Args:
        sizes: ``[C]`` images of each class; one with a single image gives none.
        test_per_class: of large classes.
    """
    return np.minimum(sizes // 2, test_per_class)
