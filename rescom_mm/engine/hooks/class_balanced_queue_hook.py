from __future__ import annotations

from typing import Any

import torch
from mmengine.dist import all_reduce, get_comm_device, get_world_size
from mmengine.hooks import Hook, LoggerHook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from ...models import KeyQueue
from ...utils import StepFlags, check_options, unwrapped_model


@HOOKS.register_module()
@check_options
class ClassBalancedQueueHook(Hook):
    """Writes each step's keys into the model's queue, after the optimiser step.

    Keys are gathered over the ranks with one collective, on which the ``StepFlags`` ride, and
    written in the same order everywhere, so the queue is bitwise the same on every rank. Whenever
    ``LoggerHook`` logs, the share of written slots and the mean age of the keys, in steps, are read
    back and logged as ``queue_fill`` and ``queue_age``. ``--resume`` restores the queue;
    ``load_from`` leaves it empty. A model without a queue is left alone.

    Args:
        enqueue_view: ``'first'`` (the released code) or ``'second'`` (the paper).
    """

    priority = 'NORMAL'

    def __init__(self, enqueue_view: str = 'first') -> None:
        if enqueue_view not in ('first', 'second'):
            raise ValueError("ClassBalancedQueueHook: enqueue_view must be 'first' or 'second', "
                             f'got {enqueue_view!r}')
        self.enqueue_view = enqueue_view
        self._rows: int | None = None
        self._interval = 50

    @staticmethod
    def check_present(runner: Runner) -> None:
        """Raises a ``ValueError`` if the model has a queue and the runner has no such hook."""
        if _queue(runner) is not None and not any(
                isinstance(hook, ClassBalancedQueueHook) for hook in runner.hooks):
            raise ValueError(
                'model.queue is set but no hook writes to it, so it would stay empty for ever; '
                "add `default_hooks = dict(queue=dict(type='ClassBalancedQueueHook'))` to the "
                'config (configs/_base_/default_runtime.py has it)')

    def before_train(self, runner: Runner) -> None:
        queue = _queue(runner)
        if queue is None:
            return
        if not runner._resume:
            # what load_from brings along are keys of another run: of another state of the
            # encoder, and maybe of other classes
            queue.reset()
        self._interval = next((hook.interval for hook in runner.hooks
                               if isinstance(hook, LoggerHook)), self._interval)
        if get_world_size() > 1:
            self._rows = self._largest_batch(runner)

    @staticmethod
    def _largest_batch(runner: Runner) -> int:
        """The most images a step on any rank, to which all ranks pad."""
        loader = runner.train_dataloader
        rows = loader.batch_size or getattr(loader.batch_sampler, 'batch_size', None)
        if rows is None:
            raise ValueError(
                f'train_dataloader.batch_sampler {type(loader.batch_sampler).__name__} has no '
                'batch_size; ClassBalancedQueueHook needs the largest number of images a step on '
                'one rank: give the sampler that attribute')
        rows_tensor = torch.tensor(rows, device=get_comm_device())
        all_reduce(rows_tensor, op='max')
        return int(rows_tensor)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None,
                         outputs: dict | None = None) -> None:
        queue = _queue(runner)
        if queue is None:
            return
        queue.commit(view=0 if self.enqueue_view == 'first' else 1, rows=self._rows,
                     flags=StepFlags.of(runner))
        if self.every_n_inner_iters(batch_idx, self._interval) or self.end_of_epoch(
                runner.train_dataloader, batch_idx):
            for name, value in queue.status().items():
                runner.message_hub.update_scalar(f'train/queue_{name}', value)


def _queue(runner: Runner) -> KeyQueue | None:
    model = unwrapped_model(runner)
    queue = getattr(model, 'queue', None)
    return queue if isinstance(queue, KeyQueue) else None
