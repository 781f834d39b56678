from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mmpretrain.registry import MODELS
from torch import Tensor

from ...utils import NeedsClassCounts, check_options
from .key_queue import KeyQueue


def reversed_capacities(counts: Sequence[int], size: int) -> list[int]:
    """Slots of each class: in proportion to the count of the class of the mirrored rank.

    Classes are ranked by their number of images (equal ones by class id); the largest gets the
    share of the smallest, and so on. A class whose share is below one slot gets one; the others
    divide the rest in proportion, rounded by largest remainders (equal ones by class id). Computed
    in integers.

    Args:
        counts: n_c, positive.
        size: slots of all classes, at least one a class.

    Returns:
        C capacities, each at least 1, whose sum is ``size``.
    """
    order = np.argsort(-np.asarray(counts), kind='stable').tolist()
    weights = [0] * len(counts)
    for rank, label in enumerate(order):
        weights[label] = int(counts[order[-1 - rank]])
    capacities = [1] * len(counts)
    sharing, rest = set(range(len(counts))), size
    while True:
        total = sum(weights[c] for c in sharing)
        small = {c for c in sharing if rest * weights[c] < total}
        if not small:
            break
        sharing, rest = sharing - small, rest - len(small)
    for c in sharing:
        capacities[c] = rest * weights[c] // total
    by_remainder = sorted(sharing, key=lambda c: (-(rest * weights[c] % total), c))
    for c in by_remainder[:size - sum(capacities)]:
        capacities[c] += 1
    return capacities


@MODELS.register_module()
@check_options
class ReversedQueue(NeedsClassCounts, KeyQueue):
    """A queue whose class distribution is the training data's, reversed.

    One FIFO per class, class-major; the class with the most images has the fewest slots, in
    proportion to the images of the class of the mirrored rank and at least one
    (:func:`reversed_capacities`). It is a control in ResCom's queue ablation, beside ``FIFOQueue``
    and ``ClassBalancedQueue``.

    Class counts arrive before training starts. The shapes of all buffers are fixed when the queue
    is built, and which slots belong to which class follows from the counts alone: it is not part
    of the checkpoint.

    Args:
        size: number of keys Q of all classes, at least one a class.
        num_classes: C. In a ``SiameseClassifier`` it defaults to the head's.
        feat_dim: D. In a ``SiameseClassifier`` it defaults to the projector's output.
        init: as in ``ClassBalancedQueue``.
        class_counts: training images by class; None takes them from the training dataset
            (``ClassCountsHook``).

    Raises:
        RuntimeError: at the first step, if no class counts arrived.

    Examples:
        >>> from rescom_mm.models import ReversedQueue
        >>> queue = ReversedQueue(size=8, num_classes=3, feat_dim=4, class_counts=[50, 20, 10])
        >>> queue.labels.tolist()
        [0, 1, 1, 2, 2, 2, 2, 2]
    """

    counts_field = 'images'
    _labels_Q: Tensor

    def __init__(self, size: int, num_classes: int, feat_dim: int, init: str = 'masked',
                 class_counts: Sequence[int] | None = None) -> None:
        if num_classes < 1 or size < num_classes:
            raise ValueError(
                f'ReversedQueue: size={size} slots for num_classes={num_classes}; every class '
                f'has at least one: set model.queue.size to {max(num_classes, 1)} or more')
        if size >= 2**31:
            raise ValueError(f'ReversedQueue: size must be below 2^31, got {size}')
        # any sizes of the right number and sum: the true ones need the counts
        super().__init__([1] * (num_classes - 1) + [size - num_classes + 1], feat_dim, init)
        self.size = size
        self.num_classes = num_classes
        self._counted = False
        self.register_buffer('_labels_Q', torch.full((size,), -1, dtype=torch.int32),
                             persistent=False)
        self._init_class_counts(class_counts)

    def _use_counts(self, counts: tuple[int, ...]) -> None:
        if len(counts) != self.num_classes:
            raise ValueError(f'ReversedQueue: class_counts has {len(counts)} entries for '
                             f'num_classes={self.num_classes}; give one count a class')
        layout_2G = self._layout(reversed_capacities(counts, self.size))
        if self._counted and torch.equal(layout_2G, self._layout_2G.cpu()):
            return
        labels_Q = torch.arange(self.num_classes, dtype=torch.int32).repeat_interleave(
            layout_2G[0, 1:])
        # in place: buffers that EMA has paired already, or that lie on a device, stay what they are
        self._layout_2G.copy_(layout_2G)
        self._labels_Q.copy_(labels_Q)
        self._counted = True
        self.reset()  # a key in a slot that has become another class's is no key

    @property
    def labels(self) -> Tensor:
        if not self._counted:
            raise self._missing_counts()
        return self._labels_Q

    def group_of(self, labels_N: Tensor) -> Tensor:
        if not self._counted:
            raise self._missing_counts()
        return labels_N
