from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmpretrain.registry import METRICS

from ...utils import NeedsClassCounts, check_options
from ...utils.class_counts import HOOK_LINE

SHOTS = ('many', 'medium', 'few')


def shot_groups(counts: Sequence[int], thresholds: tuple[int, int]) -> dict[str, np.ndarray]:
    """Class ids of the many-, medium- and few-shot groups.

    Args:
        counts: training images by class.
        thresholds: ``(low, high)``: few < low <= medium <= high < many.
    """
    n, (low, high) = np.asarray(counts), thresholds
    return dict(many=np.flatnonzero(n > high), medium=np.flatnonzero((n >= low) & (n <= high)),
                few=np.flatnonzero(n < low))


@METRICS.register_module()
@check_options
class ShotAccuracy(NeedsClassCounts, BaseMetric):
    """Top-1 accuracy of all images and of classes with many, medium and few training images.

    ``shot/all`` is the share of test images that are right, in %; a group's figure is the mean
    over its classes of each class's accuracy. A group without a class in the test set is left out.
    Training counts come from the training set, at test time from the checkpoint
    (``ClassCountsHook``).

    Args:
        thresholds: ``(low, high)`` numbers of training images: few < low <= medium <= high < many.
        per_class: whether to report ``shot/per_class`` too, a list with None for classes without
            a test image. (The attribute ``per_class_accuracy`` has it in any case.)
        class_counts: training images by class; None takes them from the training dataset.
        collect_device: as in mmengine.
        prefix: of the reported names.
    """

    default_prefix = 'shot'
    needs_every_class = False

    def __init__(self, thresholds: Sequence[int] = (20, 100), per_class: bool = False,
                 class_counts: Sequence[int] | None = None, collect_device: str = 'cpu',
                 prefix: str | None = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if len(thresholds) != 2 or not 0 < thresholds[0] <= thresholds[1]:
            raise ValueError('ShotAccuracy: thresholds must be two ascending positive numbers '
                             f'(low, high), got {thresholds}')
        self.thresholds = (thresholds[0], thresholds[1])
        self.per_class = per_class
        self.counts: tuple[int, ...] | None = None
        self.per_class_accuracy: list[float | None] = []
        self._explained = False
        self._init_class_counts(class_counts)

    def _use_counts(self, counts: tuple[int, ...]) -> None:
        self.counts = counts

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Stores ``(label, prediction)`` of each sample of a batch."""
        for sample in data_samples:
            label, scores = sample['gt_label'], sample.get('pred_score')
            guess = sample['pred_label'] if scores is None else scores.argmax(0, keepdim=True)
            if len(label) != 1:
                raise ValueError(f'ShotAccuracy: a test image has {len(label)} labels; it needs '
                                 'exactly one class id an image')
            self.results.append(torch.stack([label.flatten()[0].cpu(), guess.flatten()[0].cpu()]))

    def compute_metrics(self, results: list[torch.Tensor]) -> dict[str, Any]:
        """Accuracies in %, see the class."""
        pairs = torch.stack(results).numpy()
        labels, right = pairs[:, 0], pairs[:, 0] == pairs[:, 1]
        classes = self._num_classes(int(labels.max()) + 1)
        total = np.bincount(labels, minlength=classes)
        hits = np.bincount(labels, weights=right, minlength=classes)
        with np.errstate(invalid='ignore'):
            accuracy = 100 * hits / total
        self.per_class_accuracy = [None if np.isnan(a) else float(a) for a in accuracy]
        metrics: dict[str, Any] = {'all': 100 * float(right.mean())}
        if self.counts is None:
            self._explain('it has no training counts: the checkpoint carries none (trained '
                          f'without ClassCountsHook?); for training add `{HOOK_LINE}`, or give '
                          'class_counts=[...]')
        elif len(self.counts) < classes:
            self._explain(f'the training counts have {len(self.counts)} classes, the test labels '
                          f'go up to {classes - 1}')
        else:
            for name, members in shot_groups(self.counts, self.thresholds).items():
                members = members[total[members] > 0]
                if members.size:
                    metrics[name] = float(accuracy[members].mean())
        if self.per_class:
            metrics['per_class'] = self.per_class_accuracy
        return metrics

    def _num_classes(self, seen: int) -> int:
        names = (self.dataset_meta or {}).get('classes') or ()
        return max(seen, len(self.counts or ()), len(names))

    def _explain(self, reason: str) -> None:
        if not self._explained:
            print_log(f'ShotAccuracy gives `all` only, because {reason}', logger='current')
        self._explained = True
