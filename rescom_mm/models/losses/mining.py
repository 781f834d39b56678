"""Candidates of anchors from the queue, and the mining of the hardest.

Shape suffixes: A anchors, Q slots of the queue, K slots of an anchor's class, P candidates among
which an anchor's positives are, N all of them, D dimension; G blocks of S slots, k the mined, J
candidates for these.
"""

from __future__ import annotations

import torch
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
        Similarities, to be put side by side, ``ABSENT`` where there is no key; ``[A, P]`` whether
        a key is positive, P the width of the first; the slots of all, or None where they are all
        slots in order.
    """
    own_AK = queue.slots_of(labels_A)
    sim_AQ = similarities(z_AD, queue)
    if num_positives is None and num_negatives is None:
        return [sim_AQ], _of_class(labels_A, queue) & queue.valid, None
    if own_AK is None:  # they may be anywhere
        own_AQ = _of_class(labels_A, queue)
        pos_AP = sim_AQ.masked_fill(~own_AQ, ABSENT)
        sim_AQ.masked_fill_(own_AQ, ABSENT)
        own_AK = torch.arange(len(queue), device=z_AD.device).expand(len(z_AD), -1)
    else:
        pos_AP = sim_AQ.gather(1, own_AK)
        sim_AQ.scatter_(1, own_AK, ABSENT)
    absent_AP = pos_AP < ABSENT / 2  # (NaN is not: it shall come through)
    if num_positives is not None:
        # not sorted: that takes as long again
        pos_AP, pick_AP = pos_AP.masked_fill_(absent_AP, -ABSENT).topk(
            num_positives, 1, largest=False, sorted=False)
        absent_AP = pos_AP > -ABSENT / 2
        pos_AP.masked_fill_(absent_AP, ABSENT)  # fewer than K+ keys
        own_AK = own_AK.gather(1, pick_AP)
    if num_negatives is None:
        neg_AN, slots_AN = sim_AQ, torch.arange(len(queue), device=z_AD.device).expand(
            len(z_AD), -1)
    else:
        neg_AN, slots_AN = largest(sim_AQ, num_negatives)
    return [pos_AP, neg_AN], ~absent_AP, torch.cat([own_AK, slots_AN], 1)


def similarities(z_AD: Tensor, queue: KeyQueue) -> Tensor:
    """``[A, Q]``: of anchors and keys; ``ABSENT`` where there is no key."""
    missing_Q = (~queue.valid).to(z_AD)
    # blocks whose keys and similarities stay in a processor's cache
    G = _product_blocks(len(queue)) if z_AD.device.type == 'cpu' else 1
    sim_GAS = torch.baddbmm(missing_Q.view(G, 1, -1), z_AD.expand(G, -1, -1),
                            queue.keys.view(G, -1, z_AD.shape[1]).mT, beta=ABSENT)
    return sim_GAS.transpose(0, 1).flatten(1)


def largest(sim_AQ: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """``[A, k]`` largest similarities of each anchor, in any order, and their slots.

    An anchor's similarities are all NaN or none is, since keys are finite (``KeyQueue.commit``).
    """
    if sim_AQ.device.type != 'cpu':
        return sim_AQ.topk(k, 1, sorted=False)
    G = _selection_blocks(sim_AQ.shape[1], k)
    if G == 1:
        bits_Ak, slot_Ak = _ordered(sim_AQ).topk(k, 1, sorted=False)
    else:
        # one that is among the k largest of all is where the largest over the blocks is among k
        sim_AGS = sim_AQ.unflatten(1, (G, -1))
        place_Ak = _ordered(sim_AGS.amax(1)).topk(k, 1, sorted=False).indices
        sim_AJ = sim_AGS.gather(2, place_Ak[:, None].expand(-1, G, -1)).flatten(1)
        bits_Ak, pick_Ak = _ordered(sim_AJ).topk(k, 1, sorted=False)
        first_G1 = torch.arange(0, sim_AQ.shape[1], sim_AGS.shape[2])[:, None].int()
        slot_AJ = (place_Ak.int()[:, None] + first_G1).flatten(1)  # int32: half the memory
        slot_Ak = slot_AJ.gather(1, pick_Ak).long()
    return _ordered(bits_Ak).view(torch.float32), slot_Ak


def _ordered(values: Tensor) -> Tensor:
    """int32 in the order of floats, and back; compared faster, as there is no NaN to look for."""
    bits = values.view(torch.int32)
    return (bits >> 31).bitwise_and_(0x7fffffff).bitwise_xor_(bits)


def _product_blocks(slots: int) -> int:
    """Blocks of equal size, as many as can be with at least 256 slots each; 1 for a few slots."""
    blocks = slots // 256 if slots >= 2048 else 1
    while slots % blocks:
        blocks -= 1
    return blocks


def _selection_blocks(slots: int, k: int) -> int:
    """Blocks of slots with which :func:`largest` compares least."""
    best, least = 1, slots // 2  # two passes must pay for what they cost besides
    for blocks in range(2, min(least // k, 65)):
        compared = slots // blocks + blocks * k
        if slots % blocks == 0 and compared <= least:
            best, least = blocks, compared
    return best


def _of_class(labels_A: Tensor, queue: KeyQueue) -> Tensor:
    return labels_A[:, None].to(queue.labels) == queue.labels
