"""The computation of ``SPMLoss``: candidates, loss and gradient, without a host synchronisation.

Shape suffixes: M rows (both views), A anchors, Q slots of the queue, N candidates of an anchor,
P the first of them, among which its positives are, K slots of an anchor's class, D dimension.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..queues import KeyQueue


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
        A, M = len(factor_A), len(z_MD)
        anchor_AD, labels_A = z_MD[:A] / temperature, labels_M[:A]
        parts, positives, slots_AN = [], [], None
        if in_batch_pairs:
            parts.append((anchor_AD @ z_MD.T).fill_diagonal_(-torch.inf))
            positives.append((labels_A[:, None] == labels_M).fill_diagonal_(False))
        if queue is not None:
            sims, positive_AP, slots_AN = queue_candidates(anchor_AD, labels_A, queue, *mining)
            parts += sims
            positives.append(positive_AP)
        logits_AN, positive_AP = torch.cat(parts, 1), torch.cat(positives, 1)
        P = positive_AP.shape[1]

        count_A = positive_AP.sum(1)
        none_A = count_A == 0  # the loss is 0; so that it is where there is no candidate either:
        logits_AN.masked_fill_(none_A[:, None], 0)
        factor_A = factor_A.masked_fill(none_A, 0) / count_A.clamp_(min=1)  # of each positive
        log_p_AN = torch.log_softmax(logits_AN, 1)
        loss = -log_p_AN[:, :P].masked_fill(~positive_AP, 0).sum(1).dot(factor_A)

        if ctx.needs_input_grad[0]:
            # of an anchor's logits: its softmax, less 1 for each positive, averaged over these
            grad_AN = log_p_AN.exp_().mul_((factor_A * count_A)[:, None])
            grad_AN[:, :P].addcmul_(positive_AP.to(grad_AN), factor_A[:, None], value=-1)
            grad_MD = torch.zeros_like(z_MD)
            if in_batch_pairs:
                grad_AM, grad_AN = grad_AN[:, :M], grad_AN[:, M:]
                torch.mm(grad_AM.T, z_MD[:A], out=grad_MD)
                grad_MD[:A].addmm_(grad_AM, z_MD)
            if queue is not None:
                grad_MD[:A] += grad_AN @ queue.keys if slots_AN is None else F.embedding_bag(
                    slots_AN, queue.keys, per_sample_weights=grad_AN.contiguous(), mode='sum')
            ctx.save_for_backward(grad_MD.div_(temperature))
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient of ``z_MD``."""
        grad_MD, = ctx.saved_tensors
        return (grad_MD * grad, *[None] * 6)


def queue_candidates(
        z_AD: Tensor, labels_A: Tensor, queue: KeyQueue, num_positives: int | None,
        num_negatives: int | None) -> tuple[list[Tensor], Tensor, Tensor | None]:
    """The keys that anchors are contrasted with, mined where asked for.

    Args:
        z_AD: anchors.
        labels_A: their labels.
        queue: where the keys are.
        num_positives: K+, the least similar keys of the anchor's class; None: all.
        num_negatives: K-, the most similar keys of other classes; None: all.

    Returns:
        Similarities, to be put side by side, -inf where there is no key; ``[A, P]`` whether a key
        is positive, P the width of the first; the slots of all, or None where they are all slots
        in order.
    """
    # what is no key becomes -inf in the product itself
    bias_Q = z_AD.new_zeros(len(queue)).masked_fill_(~queue.valid, -torch.inf)
    sim_AQ = torch.addmm(bias_Q, z_AD, queue.keys.T)
    if num_positives is None and num_negatives is None:
        return [sim_AQ], _of_class(labels_A, queue) & queue.valid, None
    own_AK = queue.slots_of(labels_A)
    if own_AK is None:  # they may be anywhere
        own_AQ = _of_class(labels_A, queue)
        pos_AP = sim_AQ.masked_fill(~own_AQ, -torch.inf)
        neg_AN = sim_AQ.masked_fill_(own_AQ, -torch.inf)
        own_AK = torch.arange(len(queue), device=z_AD.device).expand(len(z_AD), -1)
    else:
        pos_AP = sim_AQ.gather(1, own_AK)
        neg_AN = sim_AQ.scatter_(1, own_AK, -torch.inf)
    positive_AP = pos_AP != -torch.inf  # (NaN, too, shall come through)
    if num_positives is not None:
        # not sorted: that takes as long again
        pos_AP, pick_AP = pos_AP.masked_fill(~positive_AP, torch.inf).topk(
            num_positives, 1, largest=False, sorted=False)
        positive_AP, own_AK = pos_AP != torch.inf, own_AK.gather(1, pick_AP)
        pos_AP.masked_fill_(~positive_AP, -torch.inf)  # fewer than K+ keys
    if num_negatives is None:
        slots_AN = torch.arange(len(queue), device=z_AD.device).expand(len(z_AD), -1)
    else:
        neg_AN, slots_AN = neg_AN.topk(num_negatives, 1, sorted=False)
    return [pos_AP, neg_AN], positive_AP, torch.cat([own_AK, slots_AN], 1)


def _of_class(labels_A: Tensor, queue: KeyQueue) -> Tensor:
    return labels_A[:, None].to(queue.labels) == queue.labels
