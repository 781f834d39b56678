from __future__ import annotations

from typing import Any

import torch
from mmengine.dataset import InfiniteSampler
from mmengine.device import get_device
from mmengine.dist import broadcast_object_list, get_rank, get_world_size
from mmengine.hooks import CheckpointHook, EarlyStoppingHook, Hook
from mmengine.optim import OptimWrapper
from mmengine.runner import BaseLoop, Runner
from mmpretrain.registry import HOOKS

from ...utils import check_options
from ...utils.seeding import (
    EPOCH_END,
    EPOCH_START,
    ITERATION,
    VALIDATION,
    derive_seed,
    seed_generators,
)
from ..loops import ResumableLoop, make_resumable
from ..rank_state import gather_rank_states, restore_rank_state
from ..strategies import check_strategy

_KEY = 'rescom_mm'


@HOOKS.register_module()
@check_options
class ResumeHook(Hook):
    """Lets a run that was stopped anywhere go on as if it had never been.

    With ``--resume`` weights, optimiser, queue, order of the data and every random draw are, bit
    for bit, those of a run without the stop, for any number of data loading workers. To that end
    the training loop becomes one that can begin inside an epoch, samples draw from seeds of their
    own (``PositionedSampler``, ``SeededDataset``), and the main process is seeded anew for each
    iteration, epoch and validation, so that no random state has to be stored. What else is needed
    goes into the checkpoint under ``rescom_mm``. Draws from other generators than those of
    ``random``, ``np.random`` and torch are not covered.

    On CUDA this holds under ``randomness=dict(deterministic=True)``; with three ranks or more
    under ``find_unused_parameters=True``, since else DDP sums the first gradients in another
    order. Another number of ranks or batch size is possible, and what then changes is said.
    """

    # before every hook that draws random numbers or looks at what is restored
    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self._seed: int | None = None
        self._saved: dict[str, Any] | None = None
        self._gathered: list[dict] | None = None
        self._said: set[str] = set()

    def before_run(self, runner: Runner) -> None:
        if not isinstance(runner._train_loop, BaseLoop):
            return  # a test, or a validation alone
        check_strategy(runner)
        obstacle = make_resumable(runner._train_loop)
        if obstacle:
            self._say(runner, f'ResumeHook does not know {obstacle}: a resumed run will not be '
                      'the same as one without a stop')
        _count_before_saving(runner)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        if not isinstance(runner._train_loop, BaseLoop):
            return
        self.before_run(runner)  # FlexibleRunner loads first
        if not runner._resume:
            return
        state, meta, loop = checkpoint.get(_KEY), checkpoint['meta'], runner._train_loop
        if state is None:
            self._say(runner, 'the checkpoint was written without ResumeHook: the resumed run '
                      'will not be the same as one without a stop')
        self._saved = state = state or {}
        if isinstance(loop, ResumableLoop):
            before = meta['iter']
            number, samples = state.get('position') or loop.usual_position(meta)
            # from here it goes into the loop, and so to all that counts iterations
            meta['iter'] = loop.resume(number, samples, before)
            loop.validated = meta['iter'] if state.get('validated') else None
            for line in _kept_settings(runner, checkpoint):
                self._say(runner, f'resumed with {line}')
            if 'position' in state:
                for line in _changes(runner, state, before, meta['iter']):
                    self._say(runner, f'resumed with {line}')

    def before_train(self, runner: Runner) -> None:
        state, loop = self._saved or {}, runner._train_loop
        seed = [state.get('seed', runner.seed)]
        broadcast_object_list(seed, src=0)  # runner.seed may differ between the ranks
        self._seed = seed[0]
        if isinstance(loop, ResumableLoop):
            loop.sampler.seed = self._seed
            if state.get('sampler_seed') is not None:
                loop.sampler.sampler.seed = state['sampler_seed']
            if _ragged_and_compiled(runner):
                self._say(runner, 'compiled code depends on the batch sizes it has seen, and the '
                          'last batch of an epoch is smaller: a resumed run will be the same only '
                          'up to rounding; set train_dataloader.drop_last=True')
        for hook, counts in zip(_early_stopping(runner), state.get('early_stopping', ())):
            hook.wait_count, hook.best_score = counts
            if state.get('stop_training') and (
                    hook.wait_count >= hook.patience or hook.stopping_threshold is not None):
                loop.stop_training = True
        if state:
            restore_rank_state(runner, state['ranks'])
        self._saved = None

    def before_train_epoch(self, runner: Runner) -> None:
        self._reseed(EPOCH_START, runner.epoch)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        self._reseed(ITERATION, runner.iter)

    def after_train_epoch(self, runner: Runner) -> None:
        self._reseed(EPOCH_END, runner.epoch)

    def before_val_epoch(self, runner: Runner) -> None:
        if self._seed is not None:  # else it is a validation alone
            self._reseed(VALIDATION, runner.iter)

    def _reseed(self, purpose: int, number: int) -> None:
        seed_generators(derive_seed(self._seed, purpose, get_rank(), number))

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        if isinstance(runner._train_loop, ResumableLoop):
            runner._train_loop.validated = runner.iter

    def gather_state(self, runner: Runner) -> None:
        """Gathers what each rank has to itself; to be called on all ranks, right before a save."""
        self._gathered = gather_rank_states(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        if self._seed is None:
            return  # no training
        loop, meta = runner._train_loop, checkpoint['meta']
        if self._gathered is None and get_world_size() == 1:
            self.gather_state(runner)
        if self._gathered is None and 'optimizer' in checkpoint:
            self._say(runner, 'checkpoints hold the state of rank 0 alone, so a resumed run will '
                      'not be the same as one without a stop; set default_hooks = dict('
                      "checkpoint=dict(type='WholeCheckpointHook'))")
        state = dict(
            seed=self._seed, threads=torch.get_num_threads(), world_size=get_world_size(),
            early_stopping=[(hook.wait_count, float(hook.best_score))
                            for hook in _early_stopping(runner)],
            stop_training=getattr(loop, 'stop_training', False),
            ranks=self._gathered or [])
        self._gathered = None
        if isinstance(loop, ResumableLoop):
            state.update(
                position=loop.position(meta), validated=loop.validated == meta['iter'],
                batch_size=loop.dataloader.batch_size, images=len(loop.dataloader.dataset),
                sampler_seed=getattr(loop.sampler.sampler, 'seed', None))
        checkpoint[_KEY] = state

    def _say(self, runner: Runner, message: str) -> None:
        """Once, on rank 0."""
        if message not in self._said:
            self._said.add(message)
            runner.logger.warning(message)


def _early_stopping(runner: Runner) -> list[EarlyStoppingHook]:
    return [hook for hook in runner.hooks if isinstance(hook, EarlyStoppingHook)]


def _count_before_saving(runner: Runner) -> None:
    """Puts EarlyStoppingHook before the checkpoint hook, which may save what it counts."""
    hooks = runner._hooks
    saving = [hook for hook in hooks if isinstance(hook, CheckpointHook)]
    for hook in _early_stopping(runner) if saving else ():
        hooks.remove(hook)
        hooks.insert(hooks.index(saving[0]), hook)


def _ragged_and_compiled(runner: Runner) -> bool:
    loader, compiled = runner.train_dataloader, runner.cfg.get('compile')
    if not compiled or (isinstance(compiled, dict) and compiled.get('dynamic')):
        return False
    endless = isinstance(loader.sampler.sampler, InfiniteSampler)
    return not (endless or loader.drop_last) and len(loader.sampler) % loader.batch_size > 0


def _kept_settings(runner: Runner, checkpoint: dict) -> list[str]:
    """Settings of the optimiser that are the checkpoint's, and another value in the config."""
    wrapper, saved = runner.optim_wrapper, checkpoint.get('optimizer', {})
    if not isinstance(wrapper, OptimWrapper) or 'param_groups' not in saved:
        return []
    lines = []
    for name in ('initial_lr', 'weight_decay', 'momentum', 'betas'):
        pairs = [(old[name], new[name])
                 for old, new in zip(saved['param_groups'], wrapper.param_groups)
                 if name in old and name in new and old[name] != new[name]]
        if pairs:
            lines.append(f'{name}={pairs[0][0]} of the checkpoint, not {pairs[0][1]} of the '
                         'config; for another one begin a run with load_from in place of --resume')
    return lines


def _changes(runner: Runner, state: dict, before: int, after: int) -> list[str]:
    """What is not as it was when the checkpoint was written, and what that means; a line each."""
    loader, world, lines = runner.train_dataloader, get_world_size(), []
    old_world, old_batch = state['world_size'], state['batch_size']
    order = 'the epoch goes on in the same order of images'
    if state['images'] != len(loader.dataset):
        order = 'the order of images is another one'
        lines.append(f'{len(loader.dataset)} training images instead of {state["images"]}: {order}')
    effect = (f'{loader.batch_size * world} images an iteration instead of '
              f'{old_batch * old_world}; {order}; iteration {before} counts as {after}; the '
              'learning rate and schedules by iteration stay as they were')
    if world != old_world:
        again = state['position'][1] % world
        lines.append(f'{world} process{"es" * (world > 1)} instead of {old_world}: {effect}; batch '
                     'statistics are those of the first process'
                     + f'; {again} images come twice' * (again > 0))
    if loader.batch_size != old_batch:
        lines.append(f'batch_size={loader.batch_size} instead of {old_batch}: {effect}')
    threads = torch.get_num_threads()
    if get_device() == 'cpu' and threads != state['threads']:
        lines.append(f'{threads} threads of torch instead of {state["threads"]}: the run goes on '
                     'the same only up to rounding')
    if world > 2 and not getattr(runner.model, 'find_unused_parameters', True):
        lines.append(f'{world} processes, where DDP sums the first gradients in another order: the '
                     'run goes on the same only up to rounding; find_unused_parameters=True makes '
                     'it exact')
    return lines
