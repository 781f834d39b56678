"""Short trainings that are stopped and go on, in one process or in several."""

import copy
import itertools
import os
import shutil
import socket
from pathlib import Path
from unittest import mock

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.config import Config
from mmengine.dist import barrier, get_rank, get_world_size
from mmengine.hooks import EMAHook, Hook
from mmengine.runner import Runner
from mmpretrain.registry import DATASETS, HOOKS

import rescom_mm.engine.hooks.results_hook as results_hook
from rescom_mm.datasets import DigitsLT
from rescom_mm.utils import StopRequested
from tests.checkpoints import differences
from tests.runs import tiny_config

STOPPED = 'stopped.pth'  # written inside a validation

_number = itertools.count()


@DATASETS.register_module()
class FewDigits(DigitsLT):
    """Every ``step``-th image."""

    def __init__(self, step=4, **kwargs):
        self.step = step
        super().__init__(**kwargs)

    def load_data_list(self):
        return super().load_data_list()[::self.step]


@HOOKS.register_module()
class StopAt(Hook):
    """Ends the run right after a checkpoint, and keeps what the samples looked like."""

    priority = 'LOWEST'

    def __init__(self, iteration=None, epoch=None, val_iter=None):
        self.iteration, self.epoch, self.val_iter = iteration, epoch, val_iter
        self.seen = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.seen.append((batch_idx, [sample.sample_idx for sample in data_batch['data_samples']],
                          data_batch['inputs']))

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == self.iteration:
            raise StopRequested('test')

    def after_train_epoch(self, runner):
        if runner.epoch + 1 == self.epoch:
            raise StopRequested('test')

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == self.val_iter:
            for hook in runner.hooks:
                if isinstance(hook, EMAHook):
                    hook._swap_ema_parameters()  # back to the weights of the training
                if hasattr(hook, 'gather_state'):
                    hook.gather_state(runner)
            runner.save_checkpoint(runner.work_dir, STOPPED, by_epoch=False,
                                   meta=dict(epoch=runner.epoch, iter=runner.iter))
            if runner.rank == 0:
                (Path(runner.work_dir) / 'last_checkpoint').write_text(
                    str(Path(runner.work_dir) / STOPPED))
            barrier()
            raise StopRequested('test')


def few_config(work_dir, **options):
    """Two epochs of five batches, the last one short; dropout, drop-path, EMA, queue."""
    return tiny_config(work_dir, **copy.deepcopy({**dict(
        train_dataloader__batch_size=24 // get_world_size(),
        train_dataloader__dataset__type='FewDigits',
        val_dataloader__dataset=dict(type='FewDigits', step=10),
        model__backbone__base_channels=8, model__backbone__stem_channels=8,
        model__backbone__drop_path_rate=0.3,
        model__head=dict(type='StackedLinearClsHead', in_channels=32, mid_channels=[16],
                         dropout_rate=0.2),
        model__projector=dict(in_channels=16),
        default_hooks__ema=dict(type='EMAHook', momentum=0.1),
        default_hooks__checkpoint=dict(by_epoch=False, interval=1, max_keep_ckpts=-1),
        default_hooks__stop=dict(type='StopAt')), **options}))


def run(work_dir, workers=0, persistent=False, stop=None, kind=Runner, **options):
    """A training, to its end or to where StopAt stops it."""
    cfg = few_config(work_dir, train_dataloader__num_workers=workers,
                     train_dataloader__persistent_workers=persistent, **options)
    for part in (cfg.model, cfg.default_hooks):
        for name in [name for name, value in part.items() if value is None]:
            part.pop(name)
    cfg.default_hooks.stop.update(stop or {})
    # mmengine keeps what belongs to a name as long as the process lives
    cfg.experiment_name = f'{Path(work_dir).name}_{next(_number)}'
    if dist.is_initialized():
        cfg.launcher = 'pytorch'
        cfg.model_wrapper_cfg = dict(
            type='MMDistributedDataParallel', device_ids=None, broadcast_buffers=False,
            find_unused_parameters=cfg.get('find_unused_parameters', False))
    # the two take longer than the training
    with mock.patch.object(results_hook, 'draw_results'), \
            mock.patch.object(Config, 'pretty_text', ''):
        runner = kind.from_cfg(cfg)
        try:
            runner.train()
        except StopRequested:
            assert stop
    return runner


def seen(runner):
    """What StopAt kept."""
    return next(hook.seen for hook in runner.hooks if isinstance(hook, StopAt))


def compare(straight, resumed):
    """All checkpoints that both runs wrote."""
    files = sorted(file.name for file in Path(straight).glob('*.pth'))
    assert files == sorted(file.name for file in Path(resumed).glob('*.pth')
                           if file.name != STOPPED)
    assert [(name, found) for name in files
            if (found := differences(Path(straight) / name, Path(resumed) / name))] == []


def resumed_equals_straight(folder, first=None, second=None, **options):
    """Runs it without a stop, and with one.

    ``first`` are further options of the run until the stop, ``second`` of the resumed one. Without
    ``first`` the resumed run begins at the straight one's seventh iteration.
    """
    straight, stopped = folder / 'straight', folder / 'stopped'
    run(straight, **options)
    if first:
        run(stopped, **{**options, **first})
    elif get_rank() == 0:
        stopped.mkdir()
        for iteration in range(1, 8):
            shutil.copy(straight / f'iter_{iteration}.pth', stopped)
        (stopped / 'last_checkpoint').write_text(str(stopped / 'iter_7.pth'))
    barrier()
    resumed = run(stopped, resume=True, **{**options, **(second or {})})
    if get_rank() == 0:
        compare(straight, stopped)
    return resumed


def _rank(rank, world, port, function, args):
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port), RANK=str(rank),
                      WORLD_SIZE=str(world), LOCAL_RANK=str(rank))
    torch.set_num_threads(1)
    dist.init_process_group('gloo')
    function(*args)
    dist.destroy_process_group()


def in_processes(world, function, *args):
    """Calls a function in several processes; trainings in it are distributed over them."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    # spawn: a fork of a process that has trained may inherit locked threads
    mp.start_processes(_rank, (world, port, function, args), nprocs=world, start_method='spawn')
