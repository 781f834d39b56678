"""The supervised contrastive loss of ResCom.

Shape suffixes: M rows (both views), A anchors, Q slots of the queue, N candidates of an anchor,
C classes, D dimension.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from ...utils import NeedsClassCounts, check_options
from ..queues import ClassBalancedQueue, KeyQueue, ReversedQueue


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
            if value is not None and (not isinstance(value, int) or value < 1):
                raise ValueError(f'SPMLoss: {name} must be an integer of at least 1, got {value}; '
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
        if self.needs_counts:
            if self._weight_C is None:
                raise self._missing_counts()
            if self._weight_C.device != z_MD.device:
                self._weight_C = self._weight_C.to(z_MD.device)
        with torch.autocast(z_MD.device.type, enabled=False):
            z_MD = z_MD.float()
            anchors = len(z_MD) if self.anchors == 'both' else len(z_MD) // 2
            z_AD, labels_A = z_MD[:anchors], labels_M[:anchors]
            similarities, positives = [], []
            if self.in_batch_pairs:
                sim_AM, pos_AM = self._batch_pairs(z_AD, labels_A, z_MD, labels_M)
                similarities.append(sim_AM)
                positives.append(pos_AM)
            if queue is not None:
                sim_AN, pos_AN = self._queue_pairs(z_AD, labels_A, queue)
                similarities.append(sim_AN)
                positives.append(pos_AN)
            loss_A = _supcon(torch.cat(similarities, 1) / self.temperature,
                             torch.cat(positives, 1))
            if self.needs_counts:
                loss_A = loss_A * self._weight_C[labels_A]  # type: ignore[index]
            return self.loss_weight * loss_A.mean()

    @staticmethod
    def _batch_pairs(z_AD: Tensor, labels_A: Tensor, z_MD: Tensor,
                     labels_M: Tensor) -> tuple[Tensor, Tensor]:
        """All rows of the batch; an anchor itself is left out as -inf."""
        sim_AM = z_AD @ z_MD.T
        pos_AM = labels_A[:, None] == labels_M
        sim_AM = sim_AM.diagonal_scatter(sim_AM.new_full((len(z_AD),), -torch.inf))
        return sim_AM, pos_AM.diagonal_scatter(pos_AM.new_zeros(len(z_AD)))

    def _queue_pairs(self, z_AD: Tensor, labels_A: Tensor,
                     queue: KeyQueue) -> tuple[Tensor, Tensor]:
        """Keys of the queue, mined where asked for; what is no candidate is -inf."""
        sim_AQ = z_AD @ queue.keys.T
        own_AQ = labels_A[:, None] == queue.labels
        sim_AQ = sim_AQ.masked_fill(~queue.valid, -torch.inf)
        if self.num_positives is None and self.num_negatives is None:
            return sim_AQ, own_AQ & queue.valid

        pos_AQ, neg_AQ = own_AQ & queue.valid, sim_AQ.masked_fill(own_AQ, -torch.inf)
        if self.num_positives is None:
            pos_AN = pos_AQ
            pos_sim_AN = sim_AQ.masked_fill(~pos_AQ, -torch.inf)
        else:
            hard_AN = sim_AQ.masked_fill(~pos_AQ, torch.inf).topk(
                self.num_positives, dim=1, largest=False).values
            pos_AN = hard_AN < torch.inf  # fewer than K+ keys: the rest is no candidate
            pos_sim_AN = hard_AN.masked_fill(~pos_AN, -torch.inf)
        if self.num_negatives is not None:
            neg_AQ = neg_AQ.topk(self.num_negatives, dim=1).values
        return (torch.cat([pos_sim_AN, neg_AQ], 1),
                torch.cat([pos_AN, torch.zeros_like(neg_AQ, dtype=torch.bool)], 1))


def _supcon(logits_AN: Tensor, positive_AN: Tensor) -> Tensor:
    """``[A]`` losses: logsumexp of the candidates minus the mean of the positives.

    Entries of -inf are no candidates. Anchors without a positive give exactly 0.
    """
    count_A = positive_AN.sum(1)
    has_positive_A = count_A > 0
    # a row of -inf alone has no softmax; whatever has no positive becomes a harmless constant
    logits_AN = logits_AN.masked_fill(~has_positive_A[:, None], 0)
    positives_A = logits_AN.masked_fill(~positive_AN, 0).sum(1)
    loss_A = logits_AN.logsumexp(1) - positives_A / count_A.clamp(min=1)
    return loss_A.masked_fill(~has_positive_A, 0)
