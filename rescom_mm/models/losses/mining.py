"""Candidates of anchors from the queue, and the mining of the hardest.

Shape suffixes: A anchors, Q slots of the queue, K slots of an anchor's class, P candidates among
which an anchor's positives are, N all of them, D dimension; G blocks of S slots, k the mined.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..queues import KeyQueue


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
    own_AK = queue.slots_of(labels_A)
    blocks = 1 if own_AK is None else _blocks(z_AD, len(queue), num_negatives)
    sim_GAS = similarities(z_AD, queue, blocks)
    if num_positives is None and num_negatives is None:
        return [sim_GAS[0]], _of_class(labels_A, queue) & queue.valid, None
    if own_AK is None:  # they may be anywhere
        own_AQ = _of_class(labels_A, queue)
        pos_AP = sim_GAS[0].masked_fill(~own_AQ, -torch.inf)
        sim_GAS[0].masked_fill_(own_AQ, -torch.inf)
        own_AK = torch.arange(len(queue), device=z_AD.device).expand(len(z_AD), -1)
    else:
        at_AK = _places(own_AK, sim_GAS)
        pos_AP = sim_GAS.view(-1)[at_AK]
        sim_GAS.view(-1).index_fill_(0, at_AK.view(-1), -torch.inf)
    if num_positives is not None:
        # not sorted: that takes as long again
        pos_AP, pick_AP = pos_AP.masked_fill_(pos_AP == -torch.inf, torch.inf).topk(
            num_positives, 1, largest=False, sorted=False)
        pos_AP.masked_fill_(pos_AP == torch.inf, -torch.inf)  # fewer than K+ keys
        own_AK = own_AK.gather(1, pick_AP)
    positive_AP = pos_AP != -torch.inf  # (NaN, too, shall come through)
    if num_negatives is None:
        neg_AN, slots_AN = sim_GAS[0], torch.arange(len(queue), device=z_AD.device).expand(
            len(z_AD), -1)
    else:
        neg_AN, slots_AN = largest(sim_GAS, num_negatives)
    return [pos_AP, neg_AN], positive_AP, torch.cat([own_AK, slots_AN], 1)


def similarities(z_AD: Tensor, queue: KeyQueue, blocks: int) -> Tensor:
    """``[G, A, S]``: of anchors and keys, G blocks of S slots; -inf where there is no key."""
    G, D = blocks, z_AD.shape[1]
    # what is no key becomes -inf in the product itself
    bias_Q = queue.valid.to(z_AD).log_()
    return torch.baddbmm(bias_Q.view(G, 1, -1), z_AD.expand(G, -1, -1),
                         queue.keys.view(G, -1, D).mT)


def largest(sim_GAS: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """``[A, k]`` largest similarities of each anchor, in any order, and their slots.

    An anchor's similarities are all NaN or none is, since keys are finite (``KeyQueue.commit``).
    """
    G, _, S = sim_GAS.shape
    if sim_GAS.device.type != 'cpu':
        return sim_GAS[0].topk(k, 1, sorted=False)
    if G == 1:
        bits_Ak, slot_Ak = _ordered(sim_GAS[0]).topk(k, 1, sorted=False)
    else:
        # one that is among the k largest of all is where the largest over the blocks is among k
        place_Ak = _ordered(sim_GAS.amax(0)).topk(k, 1, sorted=False).indices
        sim_AGk = sim_GAS.gather(2, place_Ak.expand(G, -1, -1)).transpose(0, 1)
        bits_Ak, pick_Ak = _ordered(sim_AGk.flatten(1)).topk(k, 1, sorted=False)
        block_Ak = pick_Ak.div(k, rounding_mode='floor')
        slot_Ak = place_Ak.gather(1, pick_Ak - block_Ak * k) + block_Ak * S
    return _ordered(bits_Ak).view(torch.float32), slot_Ak


def _ordered(values: Tensor) -> Tensor:
    """int32 in the order of floats, and back; compared faster, as there is no NaN to look for."""
    bits = values.view(torch.int32)
    return (bits >> 31).bitwise_and_(0x7fffffff).bitwise_xor_(bits)


def _blocks(z_AD: Tensor, slots: int, num_negatives: int | None) -> int:
    """Blocks of slots with which :func:`largest` compares least; 1 on a GPU, which has a kernel."""
    if num_negatives is None or z_AD.device.type != 'cpu':
        return 1
    compared = {blocks: slots // blocks + blocks * num_negatives
                for blocks in range(2, 65) if slots % blocks == 0}
    compared[1] = slots // 2  # two passes must pay for what they cost besides
    return min(compared, key=compared.__getitem__)


def _places(slots_AK: Tensor, sim_GAS: Tensor) -> Tensor:
    """Where the similarities of anchors to slots stand in the flat memory; for slots that are not
    there, beyond it."""
    _, A, S = sim_GAS.shape
    anchor_A1 = torch.arange(A, device=slots_AK.device)[:, None]
    block_AK = slots_AK.div(S, rounding_mode='floor')
    return slots_AK + (block_AK * (A - 1) + anchor_A1) * S


def _of_class(labels_A: Tensor, queue: KeyQueue) -> Tensor:
    return labels_A[:, None].to(queue.labels) == queue.labels
