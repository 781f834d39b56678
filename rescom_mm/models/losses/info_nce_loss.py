"""The instance-level contrastive loss of MoCo.

Shape suffixes: M rows (both views), B images, Q slots of the queue, D dimension.
"""

from __future__ import annotations

import math

import torch
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from ...utils import check_options
from ..queues import KeyQueue


@MODELS.register_module()
@check_options
class InfoNCELoss(nn.Module):
    r"""Instance discrimination against a queue (`MoCo <https://arxiv.org/abs/1911.05722>`_, Eq. 1).

    .. math::
        L = -\frac1B \sum_i \log \frac{e^{q_i \cdot k_i / \tau}}
            {e^{q_i \cdot k_i / \tau} + \sum_{k \in \text{queue}} e^{q_i \cdot k / \tau}}

    The query :math:`q_i` is view 1 of an image, its only positive :math:`k_i` is view 2 of the same
    image, and every key of the queue is a negative, whatever its class: labels are not used.
    Under a ``SiameseClassifier`` with a ``key_encoder`` the rows of view 2 are that encoder's
    keys, which carry no gradient; without one the gradient goes through both views.

    Args:
        temperature: tau, positive; 0.07 is MoCo's.
        loss_weight: lambda, factor of the loss.
    """

    def __init__(self, temperature: float = 0.07, loss_weight: float = 1.0) -> None:
        super().__init__()
        if not 0 < temperature < math.inf:
            raise ValueError('InfoNCELoss: temperature must be positive and finite, got '
                             f'{temperature}; values between 0.05 and 0.5 are usual')
        self.temperature = temperature
        self.loss_weight = loss_weight

    def check_queue(self, queue: KeyQueue | None) -> None:
        """Raises a ``ValueError`` where there is no queue: the loss would be 0 whatever happens."""
        if queue is None:
            raise ValueError('model.contrastive_loss is InfoNCELoss, whose negatives are the keys '
                             'of the queue, and model.queue is not set; add for instance '
                             "dict(type='FIFOQueue', size=4096)")

    def forward(self, z_MD: Tensor, labels_M: Tensor, queue: KeyQueue) -> Tensor:
        """Computes the loss in float32, also under autocast.

        Args:
            z_MD: L2-normalised projections, all rows of view 1 (queries), then all of view 2
                (their keys).
            labels_M: not used.
            queue: the negatives; never written here. While it is empty the loss is 0.

        Returns:
            A float32 scalar, times ``loss_weight``.
        """
        with torch.autocast(z_MD.device.type, enabled=False):
            query_BD, key_BD = z_MD.float().chunk(2)
            own_B = (query_BD * key_BD).sum(1)
            others_BQ = (query_BD @ queue.keys.T).masked_fill(queue.missing, -torch.inf)
            logits = torch.cat([own_B[:, None], others_BQ], 1) / self.temperature
            return self.loss_weight * (logits.logsumexp(1) - own_B / self.temperature).mean()
