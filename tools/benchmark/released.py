"""The cost structure of the released code's contrastive branch, in own words, for comparison.

Each step, in order, does what that code does where this package does not:

1. clones the whole queue before using it;
2. indexes a table ``[C, (C - 1) K]`` (int64) by label, and gathers the negatives' similarities
   through the ``[2B, (C - 1) K]`` indices that come out;
3. removes the diagonal of the batch's similarities by a boolean mask;
4. sorts both top-k, takes a KL divergence from 0/1 targets over all candidates, and lets
   autograd keep every matrix;
5. reads three scalars back for the log;
6. keeps keys as columns, and writes them in a Python loop, a column at a time, with three
   read-backs each (a pointer, and both ends of a slice).

Left out is what other processes cost it: the table and the queue, sent to all of them at every
forward pass.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


class ReleasedBranch:
    """Loss and queue of the released code; the numbers are those of ``SPMLoss``.

    Args:
        keys_QD: the queue, class-major.
        num_classes: C.
        num_positives: K+.
        num_negatives: K-.
        temperature: tau.
        weight_C: class weights.
    """

    def __init__(self, keys_QD: Tensor, num_classes: int, num_positives: int, num_negatives: int,
                 temperature: float, weight_C: Tensor) -> None:
        self.queue_DQ = keys_QD.T.clone()  # a key is a column there
        self.K = len(keys_QD) // num_classes
        self.num_positives, self.num_negatives = num_positives, num_negatives
        self.temperature, self.weight_C = temperature, weight_C
        self.pointers = torch.zeros(num_classes, dtype=torch.long, device=keys_QD.device)
        slots = torch.arange(num_classes * self.K, device=keys_QD.device).view(num_classes, self.K)
        self.positive_table = slots
        self.negative_table = torch.stack([
            torch.cat([slots[:label].flatten(), slots[label + 1:].flatten()])
            for label in range(num_classes)])

    def loss(self, z_MD: Tensor, labels_M: Tensor) -> Tensor:
        """The loss of a two-view batch; all rows are anchors."""
        # cloned, since it is written before the backward pass
        sim_MQ = torch.einsum('md,dq->mq', z_MD, self.queue_DQ.clone())
        pos = sim_MQ.gather(1, self.positive_table[labels_M])
        neg = sim_MQ.gather(1, self.negative_table[labels_M])
        pos = pos.topk(self.num_positives, dim=1, largest=False).values
        neg = neg.topk(self.num_negatives, dim=1).values
        M = len(z_MD)
        off_diagonal = ~torch.eye(M, dtype=torch.bool, device=z_MD.device)
        batch = (z_MD @ z_MD.T)[off_diagonal].view(M, M - 1)
        # (one mask a step; all but the first of each M + 1 in a row are off the diagonal, too)
        same = labels_M[:, None] == labels_M
        same = same.flatten()[:-1].view(M - 1, M + 1)[:, 1:].reshape(M, M - 1)
        logits = torch.cat([batch, pos, neg], 1) / self.temperature
        positive = torch.cat([same, torch.ones_like(pos, dtype=torch.bool),
                              torch.zeros_like(neg, dtype=torch.bool)], 1).float()
        divergence = F.kl_div(F.log_softmax(logits, 1), positive, reduction='none')
        loss_M = divergence.sum(1) / (positive.sum(1) + 1e-9)
        loss = (loss_M * self.weight_C[labels_M]).mean()
        for _ in range(3):
            loss.item()
        return loss

    @torch.no_grad()
    def write(self, keys_ND: Tensor, labels_N: Tensor) -> None:
        """Writes the keys, one after another."""
        for key_D, label in zip(keys_ND, labels_N):
            # an index in brackets would be read back as well: three are what is known for sure
            pointer = int(self.pointers.take(label))
            begin = label * self.K + pointer
            self.queue_DQ[:, begin:begin + 1] = key_D[:, None]
            self.pointers.index_fill_(0, label, (pointer + 1) % self.K)
