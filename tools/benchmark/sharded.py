"""A queue sharded by class, simulated in one process: what it computes, and what it would send.

W processes hold C / W classes each (class c is with process c mod W). In a step

1. all gather everyone's projections and labels, from which each also takes the keys to write;
2. each takes the similarities of all anchors with its own keys, and sends every anchor's process
   the K- largest of other classes and the K+ smallest of the anchor's class;
3. the anchor's process merges them, adds its own batch, and has the loss; it sends back, for each
   anchor, the smallest negative and the largest positive that are in, and the two numbers that
   make a softmax of a similarity;
4. each adds up weights times keys of what is in, and the sums return to the anchors' processes.

No key ever moves for a gradient. Shape suffixes: A anchors of all processes, M rows of one, W
processes, S slots of a shard, P and N candidates, D dimension.
"""

from __future__ import annotations

from collections import Counter

import torch
from torch import Tensor

INF = float('inf')


class ShardedContrast:
    """The loss of ``SPMLoss`` (both views, in-batch pairs) over a sharded queue.

    Args:
        keys_CKD: a full queue.
        world: W.
        mining: K+ and K-.
        temperature: tau.

    Attributes:
        received: bytes that one process receives in a step, by what they are.
    """

    def __init__(self, keys_CKD: Tensor, world: int, mining: tuple[int, int],
                 temperature: float) -> None:
        self.shards = [keys_CKD[rank::world] for rank in range(world)]
        self.world, self.mining, self.temperature = world, mining, temperature
        self.received: Counter[str] = Counter()

    def step(self, z_WMD: Tensor, labels_WM: Tensor) -> tuple[Tensor, Tensor]:
        """Loss and gradient of every process's rows, each as alone with the whole queue.

        Args:
            z_WMD: rows of the processes.
            labels_WM: their labels.

        Returns:
            ``[W]`` losses and ``[W, M, D]`` gradients.
        """
        W, M, D = z_WMD.shape
        z_AD, labels_A = z_WMD.flatten(0, 1), labels_WM.flatten()
        self._count('projections and labels', W * M * (D + 1))
        found = [self._candidates(rank, z_AD, labels_A) for rank in range(W)]
        pos_AWP, neg_AWN = (torch.stack(parts, 1) for parts in zip(*found))
        self._count('similarities', M * W * sum(self.mining))
        loss_A, back = self._merge(z_WMD, labels_WM, pos_AWP.flatten(1), neg_AWN.flatten(1))
        self._count('thresholds and softmax', W * M * 4)
        grad_AD = sum(self._gradient(rank, z_AD, labels_A, *back) for rank in range(W))
        self._count('gradients', W * M * D)
        batch_WMD = self._batch_gradient(z_WMD, labels_WM, *back[2:])
        assert isinstance(grad_AD, Tensor)
        return loss_A.view(W, M).mean(1), grad_AD.view(W, M, D) / M + batch_WMD / M

    def _count(self, what: str, values: int) -> None:
        self.received[what] += 4 * values

    def _similarities(self, rank: int, z_AD: Tensor, labels_A: Tensor) -> tuple[Tensor, Tensor]:
        """``[A, S]`` similarities with a shard's keys, and which are of the anchor's class."""
        shard_CKD = self.shards[rank]
        labels_S = (torch.arange(len(shard_CKD)) * self.world + rank).repeat_interleave(
            shard_CKD.shape[1])
        return z_AD @ shard_CKD.flatten(0, 1).T, labels_A[:, None] == labels_S

    def _candidates(self, rank: int, z_AD: Tensor, labels_A: Tensor) -> tuple[Tensor, Tensor]:
        """The K+ smallest of the class, and the K- largest of others, that a shard has."""
        sim_AS, own_AS = self._similarities(rank, z_AD, labels_A)
        pos_AS, neg_AS = sim_AS.masked_fill(~own_AS, INF), sim_AS.masked_fill(own_AS, -INF)
        num_pos, num_neg = self.mining
        return (_padded(pos_AS, num_pos, INF, False), _padded(neg_AS, num_neg, -INF, True))

    def _merge(self, z_WMD: Tensor, labels_WM: Tensor, pos_AN: Tensor,
               neg_AN: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Losses, and what the shards need: thresholds, log of the softmax's sum, positives."""
        pos_AP = pos_AN.topk(self.mining[0], 1, largest=False).values
        neg_AN = neg_AN.topk(self.mining[1], 1).values
        sim_AM, same_AM = _batch(z_WMD, labels_WM)
        positive_AN = torch.cat([same_AM, pos_AP != INF, torch.zeros_like(neg_AN).bool()], 1)
        logits_AN = torch.cat([sim_AM, pos_AP.masked_fill(pos_AP == INF, -INF), neg_AN], 1)
        logits_AN = logits_AN / self.temperature
        sum_A, count_A = logits_AN.logsumexp(1), positive_AN.sum(1)
        loss_A = sum_A - logits_AN.masked_fill(~positive_AN, 0).sum(1) / count_A.clamp(min=1)
        loss_A = loss_A.masked_fill(count_A == 0, 0)
        most_A = pos_AP.masked_fill(pos_AP == INF, -INF).amax(1)
        return loss_A, (most_A, neg_AN.amin(1), sum_A, count_A)

    def _gradient(self, rank: int, z_AD: Tensor, labels_A: Tensor, most_A: Tensor,
                  least_A: Tensor, sum_A: Tensor, count_A: Tensor) -> Tensor:
        """``[A, D]`` what a shard's keys add to the gradients."""
        sim_AS, own_AS = self._similarities(rank, z_AD, labels_A)
        positive_AS = own_AS & (sim_AS <= most_A[:, None])
        is_in_AS = positive_AS | (~own_AS & (sim_AS >= least_A[:, None]))
        weight_AS = self._weights(sim_AS, is_in_AS, positive_AS, sum_A, count_A)
        return weight_AS @ self.shards[rank].flatten(0, 1)

    def _batch_gradient(self, z_WMD: Tensor, labels_WM: Tensor, sum_A: Tensor,
                        count_A: Tensor) -> Tensor:
        """What rows add to each other's gradients, in each process."""
        sim_AM, same_AM = _batch(z_WMD, labels_WM)
        weight_WMM = self._weights(sim_AM, sim_AM != -INF, same_AM, sum_A, count_A).view(
            len(z_WMD), -1, z_WMD.shape[1])
        return (weight_WMM + weight_WMM.mT) @ z_WMD

    def _weights(self, sim_AN: Tensor, is_in_AN: Tensor, positive_AN: Tensor, sum_A: Tensor,
                 count_A: Tensor) -> Tensor:
        """Softmax of what is in, minus the share of each positive, over tau."""
        soft_AN = (sim_AN / self.temperature - sum_A[:, None]).exp().masked_fill(~is_in_AN, 0)
        weight_AN = soft_AN - positive_AN / count_A.clamp(min=1)[:, None]
        return weight_AN.masked_fill(count_A[:, None] == 0, 0) / self.temperature


def _batch(z_WMD: Tensor, labels_WM: Tensor) -> tuple[Tensor, Tensor]:
    """``[A, M]`` similarities within each process, -inf with oneself, and which are positive."""
    sim_WMM = z_WMD @ z_WMD.mT
    self_MM = torch.eye(z_WMD.shape[1], dtype=torch.bool)
    same_WMM = (labels_WM[:, :, None] == labels_WM[:, None]) & ~self_MM
    return sim_WMM.masked_fill(self_MM, -INF).flatten(0, 1), same_WMM.flatten(0, 1)


def _padded(sim_AS: Tensor, k: int, filler: float, largest: bool) -> Tensor:
    """The k largest or smallest; filled up where there are fewer."""
    found = sim_AS.topk(min(k, sim_AS.shape[1]), 1, largest=largest).values
    return torch.nn.functional.pad(found, (0, k - found.shape[1]), value=filler)
