"""Candidates of anchors from the queue, and the mining of the hardest.

Shape suffixes: A anchors, Q slots of the queue, R these and room around them, K slots of an
anchor's class, P candidates among which an anchor's positives are, N all of them, D dimension; B
blocks of S slots, G groups of slots, k the mined, J those that are looked for.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..queues import KeyQueue

# the logit of what is no candidate: its exponential is 0 and, being finite, 0 times it is 0
ABSENT = -1e30


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
        Similarities, to be put side by side, ``ABSENT`` where there is no key; ``[A, P]`` 1 where
        a key is positive and 0 elsewhere, P the width of the first; the slots of all, or None
        where they are all slots in order.
    """
    own_AK = queue.slots_of(labels_A)
    each = group_size(z_AD, queue, num_negatives)
    sim_AR = similarities(z_AD, queue, room=each > 1)
    sim_AQ = sim_AR[:, 2:-1] if each > 1 else sim_AR
    if num_positives is None and num_negatives is None:
        return [sim_AQ], (_of_class(labels_A, queue) & queue.valid).to(sim_AQ), None
    if own_AK is None:  # they may be anywhere
        own_AQ = _of_class(labels_A, queue)
        pos_AP = sim_AQ.masked_fill(~own_AQ, ABSENT)
        sim_AQ.masked_fill_(own_AQ, ABSENT)
        own_AK = torch.arange(len(queue), device=z_AD.device).expand(len(z_AD), -1)
    else:
        pos_AP = sim_AQ.gather(1, own_AK)
        sim_AQ.scatter_(1, own_AK, ABSENT)
    if num_positives is not None:
        last_AP = F.threshold(pos_AP, ABSENT / 2, -ABSENT)  # what is absent comes last
        # not sorted: that takes as long again
        pick_AP = last_AP.argmin(1, keepdim=True) if num_positives == 1 else last_AP.topk(
            num_positives, 1, largest=False, sorted=False).indices
        pos_AP, own_AK = pos_AP.gather(1, pick_AP), own_AK.gather(1, pick_AP)
    if num_negatives is None:
        neg_AN, slots_AN = sim_AQ, torch.arange(len(queue), device=z_AD.device).expand(
            len(z_AD), -1)
    else:
        neg_AN, slots_AN = largest(sim_AR, num_negatives, each)
    return [pos_AP, neg_AN], (pos_AP > ABSENT / 2).to(pos_AP), torch.cat([own_AK, slots_AN], 1)


def similarities(z_AD: Tensor, queue: KeyQueue, room: bool = False) -> Tensor:
    """``[A, Q]``: of anchors and keys, ``ABSENT`` where there is no key.

    With ``room`` ``[A, 2 + Q + 1]``, for what :func:`largest` puts around them.
    """
    A, D = z_AD.shape
    missing_Q, keys_QD = queue.missing.to(z_AD), queue.keys
    # on a CPU in blocks of keys, or of anchors, that stay in the processor's cache
    cpu = z_AD.device.type == 'cpu'
    B = _blocks(len(queue)) if cpu else 1
    if B > 1:
        sim_ABS = torch.baddbmm(missing_Q.view(B, 1, -1), z_AD.expand(B, -1, -1),
                                keys_QD.view(B, -1, D).mT, beta=ABSENT).transpose(0, 1)
    else:
        B = A // 64 if cpu and A and A % 64 == 0 else 1
        sim_ABS = torch.baddbmm(missing_Q, z_AD.view(B, -1, D), keys_QD.T.expand(B, -1, -1),
                                beta=ABSENT).view(A, 1, len(queue))
    if not room:
        return sim_ABS.flatten(1)
    sim_AR = z_AD.new_empty(A, len(queue) + 3)
    sim_AR[:, 2:-1].unflatten(1, sim_ABS.shape[1:]).copy_(sim_ABS)
    return sim_AR


def group_size(z_AD: Tensor, queue: KeyQueue, k: int | None) -> int:
    """Slots of a group for :func:`largest`; below 2 it makes none."""
    if k is None or z_AD.device.type != 'cpu':
        return 1
    return round(0.4 * len(queue) / _searched(k, len(queue) + 3))


def _searched(k: int, columns: int) -> int:
    """How many of the largest a CPU looks for: few by a heap, which takes it longer than more."""
    return max(k, columns // 64 + 1)


def largest(sim_AR: Tensor, k: int, each: int) -> tuple[Tensor, Tensor]:
    """``[A, k]`` largest similarities of each anchor, in any order, and their slots.

    An anchor's similarities are all NaN or none is, since keys are finite (``KeyQueue.commit``).

    Args:
        sim_AR: similarities, with room if ``each`` is above 1; overwritten.
        k: how many.
        each: slots of a group (:func:`group_size`).
    """
    if sim_AR.device.type != 'cpu':
        return sim_AR.topk(k, 1, sorted=False)
    if each < 2:
        # as integers they are compared faster: there is no NaN to look for
        bits_Ak, slot_Ak = _reorder(sim_AR.view(torch.int32)).topk(k, 1, sorted=False)
        return _reorder(bits_Ak).view(torch.float32), slot_Ak
    # On a CPU topk is nth_element, which divides at the median of the first (GNU: the second), the
    # middle and the last element. Two of these become a value that few more than are looked for
    # are above: what remains is small, and the processor can guess where an element goes.
    J, Q = _searched(k, sim_AR.shape[1]), sim_AR.shape[1] - 3
    most_AG = sim_AR[:, 2:2 + Q // each * each].unflatten(1, (each, -1)).amax(1)
    pivot_A1 = most_AG.mean(1, keepdim=True)  # about 45 % of the groups are above, more than J
    above_A1 = (most_AG > pivot_A1).to(sim_AR).sum(1, keepdim=True)
    pivot_A1.masked_fill_(above_A1 < J, -torch.inf)  # it is not to be among the largest
    sim_AR[:, :2] = pivot_A1
    sim_AR[:, -1:] = pivot_A1
    most_Ak, slot_Ak = sim_AR.topk(J, 1, sorted=False)
    if k < J:
        most_Ak, pick_Ak = most_Ak.topk(k, 1, sorted=False)
        slot_Ak = slot_Ak.gather(1, pick_Ak)
    return most_Ak, slot_Ak.sub_(2).clamp_(0, Q - 1)  # where all is -inf it was chosen


def _reorder(bits: Tensor) -> Tensor:
    """The bits of float32 to int32 in the same order, in place, and back."""
    return bits.bitwise_xor_(bits.clamp(-1, 0).bitwise_and_(0x7fffffff))


def _blocks(slots: int) -> int:
    """Blocks of equal size, as many as can be with at least 256 slots each; 1 for a few slots."""
    blocks = slots // 256 if slots >= 2048 else 1
    while slots % blocks:
        blocks -= 1
    return blocks


def _of_class(labels_A: Tensor, queue: KeyQueue) -> Tensor:
    return labels_A[:, None].to(queue.labels) == queue.labels
