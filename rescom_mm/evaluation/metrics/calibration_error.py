from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmpretrain.registry import METRICS

from ...utils import check_options


@METRICS.register_module()
@check_options
class CalibrationError(BaseMetric):
    r"""Expected and maximum calibration error of the predicted class, both in %.

    .. math::
        ECE = \sum_b \frac{|b|}{n} |acc_b - conf_b|, \qquad MCE = \max_b |acc_b - conf_b|

    over the non-empty ones of equally wide bins of the confidence, which is the largest softmax
    probability of the raw logits (``pred_score``). Bins are open on the left, ``(a, b]``; a
    confidence of exactly 0 is counted in the first (Guo et al., `On Calibration of Modern Neural
    Networks <https://arxiv.org/abs/1706.04599>`_, with 15 bins as in MiSLAS's code). Both figures
    lie in 0 ... 100 %: 0 is perfect.

    Args:
        bins: number of bins.
        collect_device: as in mmengine.
        prefix: of the reported names, ``calibration/ece`` and ``calibration/mce``.
    """

    default_prefix = 'calibration'

    def __init__(self, bins: int = 15, collect_device: str = 'cpu',
                 prefix: str | None = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if bins < 1:
            raise ValueError(f'CalibrationError: bins must be a positive integer, got {bins!r}; '
                             '15 is usual')
        self.bins = bins

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Stores ``(confidence, whether it was right)`` of each sample of a batch."""
        for sample in data_samples:
            label, scores = sample['gt_label'], sample.get('pred_score')
            if scores is None:
                raise ValueError('CalibrationError: predictions carry no pred_score, the '
                                 'probabilities of the classes; use a head that gives them (all '
                                 "of mmpretrain's classification heads do), or remove the metric")
            if len(label) != 1:
                raise ValueError(f'CalibrationError: a test image has {len(label)} labels; it '
                                 'needs exactly one class id an image')
            confidence, guess = scores.detach().float().max(0)
            right = guess == label.to(guess.device)[0]
            self.results.append(torch.stack([confidence, right.float()]).cpu())

    def compute_metrics(self, results: list[torch.Tensor]) -> dict[str, float]:
        """``ece`` and ``mce`` in %, see the class.

        Raises:
            ValueError: where a confidence is no probability.
        """
        confidence, right = torch.stack(results).numpy().T
        wrong = ~((confidence >= 0) & (confidence <= 1 + 1e-5))
        if wrong.any():
            raise ValueError(f'CalibrationError: pred_score has a largest value of '
                             f'{confidence[wrong][0]}, no probability; it must hold the softmax '
                             'of the logits (nan: the model has diverged)')
        # in float32, as the confidences: what a softmax rounds onto an edge lies on it
        edges = (np.arange(1, self.bins) / self.bins).astype(np.float32)
        member = np.searchsorted(edges, confidence, side='left')  # edges[b - 1] < conf <= edges[b]
        count = np.bincount(member, minlength=self.bins)
        filled = count > 0
        gap = np.abs(np.bincount(member, right, self.bins)
                     - np.bincount(member, confidence, self.bins))
        return dict(ece=100 * float(gap.sum() / count.sum()),
                    mce=100 * float((gap[filled] / count[filled]).max()))
