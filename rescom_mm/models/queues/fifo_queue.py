from __future__ import annotations

import torch
from mmpretrain.registry import MODELS
from torch import Tensor

from ...utils import check_options
from .gather_keys import PAD_LABEL
from .key_queue import KeyQueue


@MODELS.register_module()
@check_options
class FIFOQueue(KeyQueue):
    """One queue for all classes: its class distribution follows the training data.

    The queue of MoCo and SupCon, and the baseline of ResCom's queue ablation.

    Args:
        size: number of keys Q.
        num_classes: C. In a ``SiameseClassifier`` it defaults to the head's.
        feat_dim: D. In a ``SiameseClassifier`` it defaults to the projector's output.
        init: ``'masked'``, or ``'random'`` for random unit vectors that act as negatives until
            they are overwritten (they have no label).
    """

    _labels_P: Tensor

    def __init__(self, size: int, num_classes: int, feat_dim: int, init: str = 'masked') -> None:
        if not 1 <= size < 2**31:
            raise ValueError(f'FIFOQueue: size must be positive and below 2^31, got {size}')
        super().__init__([size], feat_dim, init)
        self.size = size
        self.num_classes = num_classes
        self.register_buffer('_labels_P', torch.full((size + 1,), PAD_LABEL, dtype=torch.int32))

    @property
    def labels(self) -> Tensor:
        return self._labels_P[1:]

    def group_of(self, labels_N: Tensor) -> Tensor:
        return labels_N.clamp(max=0)

    def _columns(self, keys_ND: Tensor, labels_N: Tensor) -> list[tuple[Tensor, Tensor]]:
        return [*super()._columns(keys_ND, labels_N), (self._labels_P, labels_N.int())]
