from __future__ import annotations

import torch
from mmpretrain.registry import MODELS
from torch import Tensor

from ...utils import check_options
from .key_queue import KeyQueue


@MODELS.register_module()
@check_options
class ClassBalancedQueue(KeyQueue):
    """A queue with the same number of keys for every class (ResCom, Eq. 3).

    One FIFO of K keys per class, class-major: slot ``c * K + r`` belongs to class ``c``.

    Args:
        keys_per_class: K.
        num_classes: C. In a ``SiameseClassifier`` it defaults to the head's.
        feat_dim: D. In a ``SiameseClassifier`` it defaults to the projector's output.
        init: ``'masked'``: a slot is no key until it was written. ``'random'``: slots start as
            random unit vectors that act as keys, as in the released code.

    Examples:
        >>> import torch
        >>> from rescom_mm.models import ClassBalancedQueue
        >>> queue = ClassBalancedQueue(keys_per_class=2, num_classes=3, feat_dim=4)
        >>> queue.write(torch.eye(4), torch.tensor([0, 2, 2, 2], dtype=torch.int32))
        >>> queue.labels.tolist()
        [0, 0, 1, 1, 2, 2]
        >>> queue.valid.tolist()
        [True, False, False, False, True, True]
    """

    _labels_Q: Tensor
    _rank_K: Tensor

    def __init__(self, keys_per_class: int, num_classes: int, feat_dim: int,
                 init: str = 'masked') -> None:
        if min(keys_per_class, num_classes) < 1 or keys_per_class * num_classes >= 2**31:
            raise ValueError('ClassBalancedQueue: keys_per_class and num_classes must be positive '
                             'and their product below 2^31, got '
                             f'{keys_per_class} and {num_classes}')
        super().__init__([keys_per_class] * num_classes, feat_dim, init)
        self.keys_per_class = keys_per_class
        self.num_classes = num_classes
        labels_Q = torch.arange(num_classes, dtype=torch.int32).repeat_interleave(keys_per_class)
        self.register_buffer('_labels_Q', labels_Q, persistent=False)
        self.register_buffer('_rank_K', torch.arange(keys_per_class, dtype=torch.int32),
                             persistent=False)

    @property
    def labels(self) -> Tensor:
        return self._labels_Q

    def group_of(self, labels_N: Tensor) -> Tensor:
        return labels_N

    def slots_of(self, labels_A: Tensor) -> Tensor:
        return torch.add(self._rank_K, labels_A.long()[:, None], alpha=self.keys_per_class)
