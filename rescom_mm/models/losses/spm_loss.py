"""The supervised contrastive loss of ResCom.

Shape suffixes: M rows (both views), A anchors, C classes, D dimension.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext

import torch
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from ...utils import NeedsClassCounts, check_options
from ..queues import ClassBalancedQueue, KeyQueue, ReversedQueue
from .contrast import SupervisedContrast


def effective_number_weights(counts: Sequence[int], beta: float) -> Tensor:
    r"""Class weights :math:`w_c = \frac1C \sum_j E_j / E_c` (ResCom, Eq. 2).

    :math:`E_c = (1 - \beta^{n_c}) / (1 - \beta)` is the effective number of images; ``beta=0``
    gives ones, ``beta -> 1`` gives mean(n) / n_c. Computed in float64.

    Args:
        counts: n_c, positive.
        beta: in [0, 1).

    Returns:
        ``[C]`` float64 weights.
    """
    n_C = torch.tensor(counts, dtype=torch.float64)
    if beta == 0:
        return torch.ones_like(n_C)
    # 1 - beta^n without cancellation near beta = 1; the constant 1 - beta drops out of w
    effective_C = -torch.expm1(n_C * torch.log1p(torch.tensor(beta - 1, dtype=torch.float64)))
    return effective_C.mean() / effective_C


@MODELS.register_module()
@check_options
class SPMLoss(NeedsClassCounts, nn.Module):
    r"""Class-balanced contrastive loss with supervised hard pair mining (ResCom, Eq. 2 to 5).

    .. math::
        L = \frac1A \sum_i w_{y_i} \ell_i, \qquad
        \ell_i = -\frac1{|P_i|} \sum_{p \in P_i} \log
                 \frac{e^{z_i \cdot k_p / \tau}}{\sum_{k \in P_i \cup N_i} e^{z_i \cdot k / \tau}}

    Candidates of an anchor are the other rows of this process's batch and, from the queue, the
    ``num_positives`` least similar keys of its class and the ``num_negatives`` most similar keys
    of other classes. An anchor without any positive contributes 0 and counts in 1/A.

    With ``num_positives`` and ``num_negatives`` unset nothing is mined (the class-balanced queue
    loss); ``beta=0`` leaves the anchors unweighted; with a ``FIFOQueue`` both give plain SupCon.

    Args:
        num_positives: K+, mined positives an anchor; None takes every key of its class.
        num_negatives: K-, mined negatives an anchor; None takes every key of other classes.
        temperature: tau, positive.
        beta: of the effective number of images, in [0, 1).
        loss_weight: lambda, factor of the loss.
        in_batch_pairs: whether the batch's own rows are candidates beside the queue (the released
            code), or the queue alone (the paper).
        anchors: ``'both'`` views (the released code) or the ``'first'``.
        class_counts: training images by class; None takes them from the training dataset
            (``ClassCountsHook``).
    """

    counts_field = 'images'

    def __init__(self, num_positives: int | None = None, num_negatives: int | None = None,
                 temperature: float = 0.1, beta: float = 0.0, loss_weight: float = 1.0,
                 in_batch_pairs: bool = True, anchors: str = 'both',
                 class_counts: Sequence[int] | None = None) -> None:
        super().__init__()
        if not 0 < temperature < math.inf:
            raise ValueError('SPMLoss: temperature must be positive and finite, got '
                             f'{temperature}; values between 0.05 and 0.5 are usual')
        if not 0 <= beta < 1:
            raise ValueError(f'SPMLoss: beta must lie in [0, 1), got {beta}; 0 weighs all classes '
                             'alike, values near 1 weigh by 1/n')
        for name, value in (('num_positives', num_positives), ('num_negatives', num_negatives)):
            if value is not None and value < 1:
                raise ValueError(f'SPMLoss: {name} must be at least 1, got {value}; '
                                 'leave it out to take all keys')
        if anchors not in ('both', 'first'):
            raise ValueError(f"SPMLoss: anchors must be 'both' or 'first', got {anchors!r}")
        self.num_positives = num_positives
        self.num_negatives = num_negatives
        self.temperature = temperature
        self.beta = beta
        self.loss_weight = loss_weight
        self.in_batch_pairs = in_batch_pairs
        self.anchors = anchors
        self.needs_counts = beta > 0
        # no buffer: what appears after construction would break EMA's pairing of buffers
        self._weight_C: Tensor | None = None
        self._init_class_counts(class_counts)

    def _use_counts(self, counts: tuple[int, ...]) -> None:
        self._weight_C = effective_number_weights(counts, self.beta).float()

    def check_queue(self, queue: KeyQueue | None) -> None:
        """Raises a ``ValueError`` where the queue can't serve this loss's mining."""
        if queue is None:
            if not self.in_batch_pairs:
                raise ValueError('model.contrastive_loss has in_batch_pairs=False and model.queue '
                                 'is not set: there is nothing to contrast with; set one of them')
            if self.num_positives is not None or self.num_negatives is not None:
                raise ValueError('model.contrastive_loss mines keys (num_positives='
                                 f'{self.num_positives}, num_negatives={self.num_negatives}) but '
                                 'model.queue is not set; add a queue, or leave both out')
            return
        own = others = len(queue)
        own_text = others_text = f'the queue has {len(queue)} keys'
        if isinstance(queue, ClassBalancedQueue):
            own = queue.keys_per_class
            others = (queue.num_classes - 1) * queue.keys_per_class
            own_text = f'model.queue.keys_per_class={own}'
            others_text = ('other classes have (num_classes - 1) * keys_per_class = '
                           f'{queue.num_classes - 1} * {own} = {others} keys')
        elif isinstance(queue, ReversedQueue):
            # the counts may come later: what no class can have, whatever they are. A class with
            # fewer keys than num_positives contributes those it has.
            own, others = queue.size - queue.num_classes + 1, queue.size - 1
            own_text = (f'a class has at most size - num_classes + 1 = {own} keys of model.queue '
                        f'({queue.size} keys, at least one a class)')
            others_text = (f'other classes have at most {others} of the {queue.size} keys of '
                           'model.queue')
        if (self.num_positives or 0) > own:
            raise ValueError(f'model.contrastive_loss.num_positives={self.num_positives} but '
                             f'{own_text}; lower the former or raise the latter')
        if (self.num_negatives or 0) > others:
            raise ValueError(f'model.contrastive_loss.num_negatives={self.num_negatives} but '
                             f'{others_text}; lower it, or leave it out to take all')

    def forward(self, z_MD: Tensor, labels_M: Tensor, queue: KeyQueue | None = None) -> Tensor:
        """Computes the loss in float32, also under autocast.

        Args:
            z_MD: L2-normalised projections, all rows of view 1, then all of view 2.
            labels_M: int64 class ids.
            queue: where the keys are; never written here.

        Returns:
            A float32 scalar, times ``loss_weight``.
        """
        device = z_MD.device.type  # a context that changes nothing takes its time, too
        with (torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device)
              else nullcontext()):
            anchors = len(z_MD) if self.anchors == 'both' else len(z_MD) // 2
            factor = self.loss_weight / max(anchors, 1)
            if self.needs_counts:
                factor_A = self._weights(z_MD.device).index_select(0, labels_M[:anchors]) * factor
            else:
                factor_A = z_MD.new_full((anchors,), factor, dtype=torch.float32)
            loss: Tensor = SupervisedContrast.apply(
                z_MD.float(), labels_M, factor_A, queue,
                (self.num_positives, self.num_negatives), self.temperature, self.in_batch_pairs)
            return loss

    def _weights(self, device: torch.device) -> Tensor:
        """The class weights, on the device."""
        if self._weight_C is None:
            raise self._missing_counts()
        if self._weight_C.device != device:
            self._weight_C = self._weight_C.to(device)
        return self._weight_C
