"""The computation of ``SPMLoss``: loss and gradient, without a host synchronisation.

Shape suffixes: M rows (both views), A anchors, Q slots of the queue, N candidates of an anchor,
P the first of them, among which its positives are, D dimension.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..queues import KeyQueue
from .mining import ABSENT, queue_candidates


class SupervisedContrast(torch.autograd.Function):
    """The sum of the anchors' losses, each times a factor.

    The gradient is made together with the loss: all that waits for the backward pass is one
    tensor like ``z_MD``, where autograd would keep several matrices of all similarities.
    """

    @staticmethod
    def forward(ctx: Any, z_MD: Tensor, labels_M: Tensor, factor_A: Tensor,
                queue: KeyQueue | None, mining: tuple[int | None, int | None],
                temperature: float, in_batch_pairs: bool) -> Tensor:
        """Computes loss and gradient.

        Args:
            ctx: of autograd.
            z_MD: float rows, the anchors first.
            labels_M: their labels.
            factor_A: of each anchor's loss.
            queue: where the keys are.
            mining: K+ and K-, None for all.
            temperature: tau.
            in_batch_pairs: whether the other rows are candidates.

        Returns:
            A scalar.
        """
        z_MD = z_MD.detach()  # torch 2.4 compiles this with gradients on
        A, M = len(factor_A), len(z_MD)
        logits_AN, positive_AP, slots_AN = _candidates(
            z_MD[:A] * (1 / temperature), z_MD, labels_M, queue, mining, in_batch_pairs)
        P = positive_AP.shape[1]

        # what is no candidate counts nothing, also where an anchor has none at all
        log_AN = logits_AN.log_softmax(1)
        del logits_AN
        # of an anchor's factor, each positive's share
        share_AP = positive_AP.to(log_AN)
        count_A = share_AP.sum(1)
        share_A = factor_A / count_A.clamp(min=1)
        share_AP.mul_(share_A[:, None])
        loss = -(log_AN[:, :P] * share_AP).sum()

        if ctx.needs_input_grad[0]:
            # of the logits: as often the softmax as there are shares, less these (exp2: on a CPU
            # exp takes twice as long)
            grad_AN = log_AN.mul_(math.log2(math.e)).exp2_().mul_((share_A * count_A)[:, None])
            grad_AN[:, :P] -= share_AP
            if in_batch_pairs:
                grad_MM, grad_AN = grad_AN[:, :M], grad_AN[:, M:]
                if A < M:
                    grad_MM = F.pad(grad_MM, (0, 0, 0, M - A))
                grad_MD = (grad_MM + grad_MM.T) @ z_MD  # as an anchor, and as a candidate
            else:
                grad_MD = torch.zeros_like(z_MD)
            if queue is not None:
                grad_MD[:A].add_(grad_AN @ queue.keys if slots_AN is None else F.embedding_bag(
                    slots_AN, queue.keys, per_sample_weights=grad_AN.contiguous(), mode='sum'))
            ctx.save_for_backward(grad_MD.mul_(1 / temperature))
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient of ``z_MD``."""
        grad_MD, = ctx.saved_tensors
        return (grad_MD * grad, *[None] * 6)


def _candidates(anchor_AD: Tensor, z_MD: Tensor, labels_M: Tensor, queue: KeyQueue | None,
                mining: tuple[int | None, int | None], in_batch_pairs: bool
                ) -> tuple[Tensor, Tensor, Tensor | None]:
    """Logits of rows and keys; which of the first P are positive; slots of the keys, None: all."""
    labels_A = labels_M[:len(anchor_AD)]
    parts, positives, slots_AN = [], [], None
    if in_batch_pairs:
        parts.append((anchor_AD @ z_MD.T).fill_diagonal_(ABSENT))
        positives.append((labels_A[:, None] == labels_M).fill_diagonal_(False))
    if queue is not None:
        sims, positive_AP, slots_AN = queue_candidates(anchor_AD, labels_A, queue, *mining)
        parts += sims
        positives.append(positive_AP)
    return torch.cat(parts, 1), torch.cat(positives, 1), slots_AN
