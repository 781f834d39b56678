from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from mmengine.optim import OptimWrapper
from mmpretrain.registry import OPTIM_WRAPPERS
from torch import nn

from ...utils import check_options


@OPTIM_WRAPPERS.register_module()
@check_options
class BFloat16OptimWrapper(OptimWrapper):
    """Trains in bfloat16 by autocast, on a CPU too and without a gradient scaler.

    mmengine's ``AmpOptimWrapper(dtype='bfloat16')`` refuses CPUs, and scales a loss whose format
    has float32's range and needs no scaling. Weights, optimiser state, contrastive loss and queue
    stay float32. Options are those of ``OptimWrapper``.

    Examples:
        >>> optim_wrapper = dict(  # of a config
        ...     type='BFloat16OptimWrapper', optimizer=dict(type='SGD', lr=0.1))
    """

    @contextlib.contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """The context of a forward pass."""
        device = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device, torch.bfloat16):
            yield
