from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from ...utils import NeedsClassCounts, check_options


@MODELS.register_module()
@check_options
class SiamBSLoss(NeedsClassCounts, nn.Module):
    r"""Siamese Balanced Softmax (ResCom, Eq. 6), the loss of a classification head.

    .. math::
        L = \frac1N \sum_i -\log \frac{\pi_{y_i} e^{s_{i,y_i}}}{\sum_j \pi_j e^{s_{i,j}}}

    with the class prior :math:`\pi` of what an epoch delivers. Under a ``SiameseClassifier`` the N
    rows are those of both views; on one view it is Balanced Softmax. At test time the head's
    logits are used as they are.

    Args:
        loss_weight: factor of the loss.
        class_counts: images by class; None takes them from the training dataset
            (``ClassCountsHook``).
    """

    counts_field = 'samples'
    #: what the logits stand for after training; see ``PriorAdjustedHead``
    trains_for_uniform_prior = True

    def __init__(self, loss_weight: float = 1.0,
                 class_counts: Sequence[int] | None = None) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        # no buffer: what appears after construction would break EMA's pairing of buffers
        self._log_prior_C: Tensor | None = None
        self._init_class_counts(class_counts)

    def _use_counts(self, counts: tuple[int, ...]) -> None:
        n_C = torch.tensor(counts, dtype=torch.float64)
        self._log_prior_C = (n_C / n_C.sum()).log().float()

    def forward(self, cls_score: Tensor, label: Tensor, weight: Tensor | None = None,
                avg_factor: int | None = None, reduction_override: str | None = None) -> Tensor:
        """Computes the loss.

        Args:
            cls_score: ``[N, C]`` logits, any float dtype (computed in float32).
            label: ``[N]`` class ids, or ``[N, C]`` soft labels.
            weight: ``[N]`` weights of the rows.
            avg_factor: divisor of the sum over rows; the number of rows where None.
            reduction_override: ``'none'``, ``'mean'`` or ``'sum'``; ``'mean'`` where None.

        Returns:
            A scalar, or ``[N]`` with ``reduction_override='none'``.
        """
        if self._log_prior_C is None:
            raise self._missing_counts()
        if cls_score.size(1) != len(self._log_prior_C):
            raise ValueError(f'SiamBSLoss: {cls_score.size(1)} logits a row but class counts of '
                             f'{len(self._log_prior_C)} classes; set model.head.num_classes to '
                             'the number of classes')
        if self._log_prior_C.device != cls_score.device:
            self._log_prior_C = self._log_prior_C.to(cls_score.device)
        with torch.autocast(cls_score.device.type, enabled=False):
            adjusted_NC = cls_score.float() + self._log_prior_C
            target = label if label.ndim == 1 else label.float()
            loss_N = F.cross_entropy(adjusted_NC, target, reduction='none')
        if weight is not None:
            loss_N = loss_N * weight
        reduction = reduction_override or 'mean'
        if reduction == 'none':
            return self.loss_weight * loss_N
        total = self.loss_weight * loss_N.sum()
        return total if reduction == 'sum' else total / (avg_factor or len(loss_N))
