"""What stands between a loss that is not finite and the weights.

A guard is put around mmengine's ``OptimWrapper`` for the time of a training. Under a gradient
scaler (fp16) infinite gradients are its normal work: there a guard watches the loss alone.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import torch
from mmengine.dist import all_reduce, get_world_size
from mmengine.optim import OptimWrapper
from torch import Tensor

_INTEGERS = {2: torch.int16, 4: torch.int32, 8: torch.int64}


@torch.no_grad()
def zero_unless_finite(gradients: list[Tensor]) -> Tensor:
    """Zeroes all gradients, in place, where one value among them is not finite.

    On the device, without a read-back. Where all are finite no bit changes.

    Args:
        gradients: dense tensors of any floating type, at least one.

    Returns:
        A bool scalar, whether all were finite.
    """
    groups = defaultdict(list)
    for gradient in gradients:
        groups[gradient.device, gradient.dtype].append(gradient)
    device = gradients[0].device
    found = torch.zeros(1, device=device)
    for (where, _), group in groups.items():
        here = torch.zeros(1, device=where)
        # what GradScaler looks with: exact, where a norm of finite gradients may overflow
        torch._amp_foreach_non_finite_check_and_unscale_(group, here, torch.ones_like(here))
        found += here.to(device)
    finite = found[0] == 0
    for (where, dtype), group in groups.items():
        # as integers, since NaN * 0 is NaN
        integer = _INTEGERS[dtype.itemsize]
        torch._foreach_mul_([gradient.view(integer) for gradient in group],
                            finite.to(where, integer))
    return finite


def _gradients(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    gradients = [p.grad._values() if p.grad.is_sparse else p.grad
                 for group in optimizer.param_groups for p in group['params']
                 if p.grad is not None]
    return [gradient for gradient in gradients if gradient.numel()]


class Guard:
    """What both guards share: being put around a wrapper, and taken off again."""

    def __init__(self, wrapper: OptimWrapper) -> None:
        self.wrapper = wrapper
        self._backward = wrapper.backward
        wrapper.backward = self.backward
        scaler = getattr(wrapper, 'loss_scaler', None)
        self._handle = None
        if scaler is None or not scaler.is_enabled():
            self._handle = wrapper.optimizer.register_step_pre_hook(self.before_step)

    def remove(self) -> None:
        """Leaves the wrapper as it was."""
        del self.wrapper.backward
        if self._handle is not None:
            self._handle.remove()

    def backward(self, loss: Tensor, **kwargs: Any) -> None:
        """Stands in for the wrapper's ``backward``."""
        raise NotImplementedError

    def before_step(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        """Called by the optimiser before its step, where there is no gradient scaler."""
        raise NotImplementedError


class MaskingGuard(Guard):
    """Lets no value that is not finite through; nothing in the step waits for the device.

    A loss that is not finite makes every gradient NaN, which DDP's averaging takes to all ranks
    without a collective of its own; then all gradients become 0. (Momentum and weight decay still
    act in that step: the training is meant to end after it.)
    """

    def __init__(self, wrapper: OptimWrapper) -> None:
        super().__init__(wrapper)
        self._finite: Tensor | None = None
        self._copied: torch.cuda.Event | None = None

    def backward(self, loss: Tensor, **kwargs: Any) -> None:
        factor = torch.where(torch.isfinite(loss.detach()), 1.0, torch.nan)
        self._backward(loss * factor, **kwargs)

    def before_step(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        gradients = _gradients(optimizer)
        if not gradients:
            return
        self._finite = zero_unless_finite(gradients)
        if self._finite.is_cuda:
            pinned = torch.empty((), dtype=torch.bool, pin_memory=True)
            self._finite = pinned.copy_(self._finite, non_blocking=True)
            self._copied = torch.cuda.Event()
            self._copied.record()

    def gradients_were_finite(self) -> bool:
        """Whether those of the last step were. On CUDA it waits for the copy of the answer, which
        is there at once after mmengine has read the losses back."""
        finite, self._finite = self._finite, None
        if self._copied is not None:
            self._copied.synchronize()
        return finite is None or bool(finite)


class SkippingGuard(Guard):
    """Leaves a step out if a loss or gradient of it is not finite on any rank.

    All ranks agree with a collective of one number, and the host decides. Under gradient
    accumulation the step is made of several iterations and left out as a whole.

    Attributes:
        drop: whether the step that this iteration is part of will be left out.
        skipped: whether this iteration's loss, or the gradients of its step, were not finite.
        stepped: False where this iteration would have stepped and did not.
    """

    def __init__(self, wrapper: OptimWrapper) -> None:
        super().__init__(wrapper)
        self._step = wrapper.step
        wrapper.step = self.step
        self.drop = False
        self.start_iteration()

    def remove(self) -> None:
        super().remove()
        del self.wrapper.step

    def start_iteration(self) -> None:
        self.skipped, self.stepped = False, True

    def backward(self, loss: Tensor, **kwargs: Any) -> None:
        if _on_all_ranks(torch.isfinite(loss.detach()).all()):
            self._backward(loss, **kwargs)
            return
        self.skipped = self.drop = True
        self.wrapper._inner_count += 1  # what every backward of a wrapper does

    def step(self, **kwargs: Any) -> None:
        """Stands in for the wrapper's ``step``, which ``zero_grad`` follows."""
        if self.drop:
            self.drop = self.stepped = False
        else:
            self._step(**kwargs)

    def before_step(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        gradients = _gradients(optimizer)
        if gradients and not _on_all_ranks(zero_unless_finite(gradients)):
            self.skipped, self.stepped = True, False
            optimizer.zero_grad(set_to_none=True)  # optimisers leave out what has no gradient


def _on_all_ranks(flag: Tensor) -> bool:
    if get_world_size() == 1:
        return bool(flag)
    flag = flag.to(torch.int32)
    all_reduce(flag, op='min')
    return bool(flag)
