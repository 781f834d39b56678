from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from ...utils import NeedsClassCounts
from ...utils.prior import Prior, read_prior


@MODELS.register_module()
def PriorAdjustedHead(of: str, test_prior: Prior | None = None,
                      trained_prior: Prior | None = None, **options: Any) -> nn.Module:
    r"""Any classification head, adjusted at test time to the class prior of the test images.

    In evaluation mode it adds :math:`\log q_c - \log p_c` to the logits: ``q`` is the prior of the
    test images and ``p`` the one that the logits stand for. By Bayes' rule the softmax then is the
    posterior under ``q`` (`logit adjustment <https://arxiv.org/abs/2007.07314>`_). In training,
    and without ``test_prior``, it is the head alone; names in checkpoints are the head's in any
    case. A trained model is tested with it by

    .. code-block:: none

        --cfg-options model.head.type=PriorAdjustedHead model.head.of=LinearClsHead \
            model.head.test_prior=FILE

    Args:
        of: type of the head; it must give one tensor ``[N, C]`` of logits.
        test_prior: q: ``'uniform'``, ``'train'`` (that of the training images), a text file with
            one number for each class, or the numbers; they need not sum to 1. None: off.
        trained_prior: p, in the same forms. None: uniform after ``SiamBSLoss``, which trains for
            it; for another loss it must be given, after plain cross-entropy as ``'train'``.
        options: those of the head.

    ``'train'`` needs ``ClassCountsHook``, which mmengine's Runner has; without it (mmpretrain's
    inferencers) the logits are NaN: give the numbers there, or fold the prior in by
    ``tools/model/strip.py``.

    Raises:
        ValueError: for a prior that does not fit, or a ``trained_prior`` that is not known.

    Examples:
        >>> import torch
        >>> from mmpretrain.registry import MODELS
        >>> head = MODELS.build(dict(
        ...     type='PriorAdjustedHead', of='LinearClsHead', num_classes=2, in_channels=3,
        ...     test_prior=[0.2, 0.8], trained_prior='uniform')).eval()
        >>> feats = (torch.rand(1, 3), )
        >>> (head(feats) - head.fc(feats[0])).exp()
        tensor([[0.4000, 1.6000]], grad_fn=<ExpBackward0>)
    """
    head = MODELS.build(dict(type=of, **options))
    if test_prior is not None:
        trained = trained_prior or trained_prior_of(type(getattr(head, 'loss_module', None)))
        # neither parameters nor buffers: the head's checkpoints fit
        head.prior_adjustment = _PriorAdjustment(head.num_classes, test_prior, trained)
        head.register_forward_hook(_adjust)
    return head


def trained_prior_of(loss: type | None) -> str:
    """The class prior that logits stand for after a training with a loss.

    Raises:
        ValueError: where that is not known.
    """
    if getattr(loss, 'trains_for_uniform_prior', False):
        return 'uniform'
    name = 'no loss of its own' if loss is None else getattr(loss, '__name__', loss)
    raise ValueError("trained_prior is not set, and the head's loss does not tell it "
                     f"({name}): give 'train' after plain cross-entropy, or 'uniform' after a loss "
                     'that corrects for the class prior')


class _PriorAdjustment(NeedsClassCounts, nn.Module):
    """Adds the difference of two log priors to logits."""

    counts_field = 'samples'
    needed_at_test = True

    def __init__(self, num_classes: int, test_prior: Prior, trained_prior: Prior) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.priors = dict(test_prior=test_prior, trained_prior=trained_prior)
        self.needs_counts = 'train' in (test_prior, trained_prior)
        # until the counts come, nothing that could be taken for a result
        self._shift_C = torch.full((num_classes, ), torch.nan)
        if not self.needs_counts:
            self._set_shift(None)

    def _use_counts(self, counts: Sequence[int]) -> None:
        self._set_shift(counts)

    def _set_shift(self, counts: Sequence[int] | None) -> None:
        test, trained = (read_prior(prior, self.num_classes, counts, f'model.head.{name}')
                         for name, prior in self.priors.items())
        self._shift_C = torch.from_numpy(np.log(test) - np.log(trained)).float()

    def forward(self, logits_NC: Tensor) -> Tensor:
        self._shift_C = self._shift_C.to(logits_NC.device)
        return logits_NC + self._shift_C.to(logits_NC.dtype)


def _adjust(head: Any, inputs: Any, logits_NC: Any) -> Tensor | None:
    """A forward hook."""
    if head.training:
        return None
    if not isinstance(logits_NC, Tensor):
        raise ValueError(f'PriorAdjustedHead: {type(head).__name__} gives a '
                         f'{type(logits_NC).__name__}; it needs a head whose logits are one tensor')
    return head.prior_adjustment(logits_NC)
