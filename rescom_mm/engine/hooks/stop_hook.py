from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any, NoReturn

import torch
import torch.distributed as torch_dist
from mmengine.dist import all_reduce, barrier, get_comm_device, get_rank, get_world_size
from mmengine.hooks import CheckpointHook, EMAHook, Hook
from mmengine.runner import BaseLoop, FlexibleRunner, Runner
from mmpretrain.registry import HOOKS

from ...utils import StepFlags, any_on_ranks, check_options
from ...utils.stop import (
    STOP_SIGNALS,
    STOPPED,
    StopRequested,
    SurviveStopSignals,
    say,
    stop_before_training,
)
from .checkpoint_hook import WholeCheckpointHook

#: seconds in which a run stops; a signal that is repeated later ends the process at once
PROMISE = 30


@HOOKS.register_module()
@check_options
class StopHook(Hook):
    """Stops a training on SIGTERM or SIGUSR1, with a checkpoint to go on from.

    It is enough that one rank gets the signal. All write a checkpoint at the end of the same
    iteration, inside a validation or the test at the end after the same batch of it, and end with
    exit code 75. Before
    training there is nothing to save. The ranks agree by a flag on the collective that the queue
    makes in each step anyway; on CUDA it is read one iteration later, so that nothing waits for it.

    A signal that is repeated within 30 s changes nothing, since a job may get it from its launcher
    and from the batch system; after that it ends the process at once. Ctrl-C is as ever. The
    workers of the data loaders leave these signals alone.

    Raises:
        StopRequested: a ``SystemExit``, when the checkpoint is whole on all ranks.
    """

    # when the checkpoint of this iteration, if there is one, is written
    priority = 'LOWEST'

    def __init__(self) -> None:
        self._flags: StepFlags | None = None
        self._handlers: dict[int, Any] = {}
        self._training = False
        self._asked: float | None = None
        self._evaluation_steps = 0

    def before_run(self, runner: Runner) -> None:
        if not isinstance(runner._train_loop, BaseLoop) or self._handlers:
            return
        if not any(isinstance(hook, WholeCheckpointHook) for hook in runner.hooks):
            mine = next((hook for hook in runner.hooks if isinstance(hook, CheckpointHook)), None)
            runner.logger.warning(
                f'default_hooks.checkpoint is {type(mine).__name__}: checkpoints may be torn, and '
                "a stop signal ends the run without one; set type='WholeCheckpointHook'")
        self._flags, self._asked = StepFlags.of(runner), None
        try:
            for number in STOP_SIGNALS:
                self._handlers[number] = signal.signal(number, self._on_signal)
        except ValueError:  # not in the main thread
            runner.logger.warning('trained in a thread, so no stop signal is watched for')
        # also after an error, of which no hook is told
        run = runner._train_loop.run
        runner._train_loop.run = lambda: self._watched(run)

    def _watched(self, run: Callable[[], Any]) -> Any:
        handlers = True
        try:
            return run()
        except StopRequested:
            handlers = False  # the process ends, and ignores the signals until it has
            raise
        finally:
            self._put_back(handlers)

    def before_train(self, runner: Runner) -> None:
        for loop in (runner._train_loop, runner._val_loop):
            if isinstance(loop, BaseLoop):
                _keep_workers(loop.dataloader)
        self._training = True

    def _on_signal(self, number: int, frame: Any) -> None:
        now = time.monotonic()
        if not self._training:
            stop_before_training(number)
        elif self._asked is None:
            self._asked = now
            assert self._flags is not None
            self._flags.raise_flag(StepFlags.STOP)
            say(f'{signal.Signals(number).name}: stopping with a checkpoint')
        elif now - self._asked > PROMISE:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None,
                         outputs: dict | None = None) -> None:
        if self._flags is not None and self._flags.agreed(StepFlags.STOP, wait=False):
            self._stop(runner, runner.epoch, runner.iter + 1)

    def before_val_epoch(self, runner: Runner) -> None:
        self._begin_evaluation(runner, runner.val_loop.dataloader)

    def before_test_epoch(self, runner: Runner) -> None:
        # that of ResultsHook, after the last epoch
        if self._training:
            _keep_workers(runner.test_loop.dataloader)
        self._begin_evaluation(runner, runner.test_loop.dataloader)

    def _begin_evaluation(self, runner: Runner, loader: Any) -> None:
        self._evaluation_steps = 0
        # (FlexibleRunner writes its own idea of the position into checkpoints)
        if self._training and self._flags is not None and not isinstance(runner, FlexibleRunner):
            self._evaluation_steps = _fewest_steps(loader)

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None,
                       outputs: Any = None) -> None:
        # counted, since EMAHook may evaluate a second time, then with its weights swapped back
        if self._evaluation_steps == 0:
            return
        self._evaluation_steps -= 1
        if any_on_ranks(self._asked is not None):
            for hook in runner.hooks:
                if isinstance(hook, EMAHook) and getattr(hook, 'evaluate_on_ema', True):
                    hook._swap_ema_parameters()
            self._stop(runner, runner.epoch, runner.iter)

    after_test_iter = after_val_iter

    def _stop(self, runner: Runner, epoch: int, iteration: int) -> NoReturn:
        """Writes a checkpoint of what is done and ends the process, on all ranks."""
        saver = next((hook for hook in runner.hooks if isinstance(hook, WholeCheckpointHook)), None)
        path = saver.save_now(runner, epoch, iteration) if saver else None
        runner.logger.warning(
            f'stopped by a signal at iteration {iteration} with exit code {STOPPED}; '
            + (f'go on from {path} with --resume' if path else 'no checkpoint was written'))
        for number in self._handlers:
            signal.signal(number, signal.SIG_IGN)  # it is being done
        if get_world_size() > 1:
            barrier()  # nobody leaves before the checkpoint is whole
            torch_dist.destroy_process_group()
            if get_rank() == 0:
                time.sleep(1)  # the others may still talk to the store in this process
        raise StopRequested(f'stopped at iteration {iteration}')

    def _put_back(self, handlers: bool) -> None:
        if handlers:
            for number, handler in self._handlers.items():
                # None: a handler that was not set by Python
                signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._handlers, self._flags, self._training = {}, None, False


def _keep_workers(loader: Any) -> None:
    if not isinstance(loader.worker_init_fn, SurviveStopSignals):
        loader.worker_init_fn = SurviveStopSignals(loader.worker_init_fn)


def _fewest_steps(loader: Any) -> int:
    """Batches that every rank has: so often they can be asked something."""
    try:
        steps = torch.tensor(len(loader), device=get_comm_device())
    except TypeError:  # a data set without a length
        steps = torch.tensor(0, device=get_comm_device())
    all_reduce(steps, op='min')
    return int(steps)
