from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import mmengine
from mmengine.dist import get_rank, get_world_size
from mmengine.hooks import EMAHook, Hook
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS
from torch import Tensor

from ...models import KeyQueue
from ...utils import check_options, unwrapped_model
from ..guards import MaskingGuard, SkippingGuard
from .key_encoder_hook import KeyEncoderHook

_SKIPPED = 'rescom_finite/skipped'
_ADVICE = ('set optim_wrapper.clip_grad=dict(max_norm=...), or with AMP optim_wrapper.dtype='
           "'bfloat16' or none, and go on with --resume; or lower optim_wrapper.optimizer.lr or "
           'warm it up longer, in another work_dir and with load_from an earlier checkpoint, or '
           'none (--resume keeps the learning rate that it was)')


@HOOKS.register_module()
@check_options
class FiniteHook(Hook):
    """Ends the training when a loss or gradient is not finite, before it has done any harm.

    Weights and optimiser state are guarded on the device (``MaskingGuard``), without a wait; that
    something happened is known from the losses that mmengine's ``RuntimeInfoHook`` has read
    back, and the run ends in the same iteration: before keys go into the queue, averages (EMA,
    key encoder) move or a checkpoint is written. The message names iteration, loss terms, samples
    of this process's batch (all of them in a file in the work directory) and the last
    checkpoint. A process whose own losses are finite learns of another's from the gradients and
    ends too; where gradients are accumulated or scaled (fp16) it ends when that other one is gone.

    Infinite gradients under a gradient scaler (fp16) are its normal work and change nothing here.

    Args:
        max_skipped: number of such steps in a training that are skipped with a warning instead;
            the next one ends it. A skipped step changes no weight, optimiser state, statistic of a
            normalisation layer, average or queue. It costs a read-back of the loss in each
            iteration, and a small collective where there are several processes. Where gradients are
            accumulated the step is skipped as a whole; statistics and keys of its other iterations
            stay.

    Raises:
        FloatingPointError: in one line, as said.
    """

    # right after RuntimeInfoHook, which has the same priority and is there first
    priority = 'VERY_HIGH'

    def __init__(self, max_skipped: int = 0) -> None:
        if max_skipped < 0:
            raise ValueError('FiniteHook: max_skipped must be a number of steps, 0 or more, got '
                             f'{max_skipped!r}')
        self.max_skipped = max_skipped
        self._guards: list[Any] = []
        self._buffers: list[tuple[Tensor, Tensor]] = []
        self._paused: list[Hook] = []
        self._dropped: list[bool] = []

    def before_train(self, runner: Runner) -> None:
        wrapper = runner.optim_wrapper
        wrappers = list(wrapper.values()) if isinstance(wrapper, OptimWrapperDict) else [wrapper]
        guard = SkippingGuard if self.max_skipped else MaskingGuard
        self._guards = [guard(each) for each in wrappers if isinstance(each, OptimWrapper)]
        self._restore()
        if len(self._guards) < len(wrappers):
            runner.logger.warning(
                f'FiniteHook does not know {type(wrapper).__name__}: a loss that is not finite '
                'ends the training, but may have changed the weights by then')

    def rank_state(self, runner: Runner) -> dict[str, Any]:
        """Whether the step that gradients are being accumulated for is to be left out."""
        return dict(dropped=[guard.drop for guard in self._guards]) if self.max_skipped else {}

    def load_rank_state(self, runner: Runner, state: dict[str, Any]) -> None:
        """Takes that back when a run goes on."""
        self._dropped = state.get('dropped', [])
        self._restore()

    def _restore(self) -> None:
        if self.max_skipped:
            for guard, drop in zip(self._guards, self._dropped):
                guard.drop = drop

    def after_train(self, runner: Runner) -> None:
        for guard in self._guards:
            guard.remove()
        self._guards = []
        self._resume_followers()

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        if self.max_skipped:
            self._resume_followers()
            self._buffers = [(buffer, buffer.clone()) for buffer in _buffers(runner)]
            for guard in self._guards:
                guard.start_iteration()

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None,
                         outputs: dict | None = None) -> None:
        losses = _not_finite(runner, outputs or {})
        if not self.max_skipped:
            # every guard is asked: each forgets its answer
            gradients = [guard.gradients_were_finite() for guard in self._guards]
            if losses or not all(gradients):
                raise FloatingPointError(_describe(runner, losses, data_batch, _ADVICE))
            return
        if any(guard.skipped for guard in self._guards):
            self._skip(runner, losses, data_batch)
        if not all(guard.stepped and not guard.skipped for guard in self._guards):
            self._pause_followers(runner)

    def _skip(self, runner: Runner, losses: dict[str, float], data_batch: Any) -> None:
        """Takes back what the forward pass has changed, and counts."""
        for buffer, before in self._buffers:
            buffer.copy_(before)
        for module in unwrapped_model(runner).modules():
            if isinstance(module, KeyQueue):
                module.discard()
        skipped = runner.message_hub.runtime_info.get(_SKIPPED, 0) + 1
        runner.message_hub.update_info(_SKIPPED, skipped)  # in every checkpoint
        if skipped > self.max_skipped:
            raise FloatingPointError(_describe(
                runner, losses, data_batch, f'{self.max_skipped} such steps were skipped before '
                f'it (max_skipped); {_ADVICE}'))
        # below ERROR mmengine shows what the first process says alone
        level = logging.ERROR if losses and get_rank() else logging.WARNING
        runner.logger.log(level, _describe(
            runner, losses, data_batch, f'the step is skipped ({skipped} of at most '
            f'{self.max_skipped})'))

    def _pause_followers(self, runner: Runner) -> None:
        """Hooks that average the weights stand still in this iteration."""
        for hook in runner.hooks:
            if isinstance(hook, (EMAHook, KeyEncoderHook)):
                hook.__dict__['after_train_iter'] = _nothing
                self._paused.append(hook)

    def _resume_followers(self) -> None:
        for hook in self._paused:
            del hook.__dict__['after_train_iter']
        self._paused = []


def _nothing(*args: Any, **kwargs: Any) -> None:
    pass


def _buffers(runner: Runner) -> list[Tensor]:
    """What a forward pass may change: all buffers but the queue's, which hooks write."""
    return [buffer for module in unwrapped_model(runner).modules()
            if not isinstance(module, KeyQueue) for buffer in module.buffers(recurse=False)]


def _not_finite(runner: Runner, outputs: dict[str, Any]) -> dict[str, float]:
    """Losses of this process that are not finite, as mmengine has read them back."""
    found = {}
    for name, value in outputs.items():
        if 'loss' in name:
            history = runner.message_hub.log_scalars.get(f'train/{name}')
            value = float(value if history is None else history.current())
            if not math.isfinite(value):
                found[name] = value
    return found


def _describe(runner: Runner, losses: dict[str, float], data_batch: Any, what_now: str) -> str:
    iteration = runner.iter + 1
    terms = {name: value for name, value in losses.items() if name != 'loss'} or losses
    if terms:
        what = ', '.join(f'{name} is {value}' for name, value in terms.items())
    elif get_world_size() > 1:
        what = ('the gradients are not finite, the losses of this process are: see the message of '
                'the other processes')
    else:
        what = 'the gradients are not finite, although the losses are'
    samples = _samples(data_batch)
    file = Path(runner.work_dir) / f'not_finite_iter_{iteration}_rank_{get_rank()}.json'
    mmengine.dump(dict(iteration=iteration, epoch=runner.epoch + 1, rank=get_rank(),
                       losses={name: str(value) for name, value in losses.items()},
                       samples=samples), file, indent=1)
    shown = ', '.join(samples[:3]) + (', ...' if len(samples) > 3 else '')
    last = runner.message_hub.runtime_info.get('last_ckpt')
    return (f'iteration {iteration}: {what}. Samples: {shown} ({len(samples)}, listed in {file}). '
            f'Last checkpoint: {last or "none yet"}. What now: {what_now}')


def _samples(data_batch: Any) -> list[str]:
    """Paths of a batch's images; numbers in the data set where they are in no file."""
    samples = data_batch.get('data_samples') if isinstance(data_batch, dict) else None
    return [str(sample.get('img_path') or f'sample {sample.get("sample_idx")}')
            for sample in samples or []]
