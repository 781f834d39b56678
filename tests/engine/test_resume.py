"""A run that was stopped and resumed against one that was not: checkpoints, bit for bit."""

import contextlib

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS

from tests.resuming import (
    compare,
    in_processes,
    resumed_equals_straight,
    run,
    seen,
)
from tests.runs import ROOT, load

MID = dict(stop=dict(iteration=7))  # in the second epoch of five iterations
END = dict(stop=dict(epoch=1))  # saved, not yet validated
BY_EPOCH = dict(default_hooks__checkpoint=dict(interval=1, max_keep_ckpts=-1))
BY_ITER = dict(train_cfg=dict(_delete_=True, type='IterBasedTrainLoop', max_iters=12,
                              val_interval=4), param_scheduler=None)
MOCO = dict(config=ROOT / 'configs/ablation/moco-balsfx_tiny_digits-lt.py')
WORKERS = [(0, False), (2, False), (2, True), (3, False), (3, True)]


@pytest.mark.stack
def test_inside_an_epoch(tmp_path):
    """No workers before the stop, two persistent ones afterwards."""
    resumed = resumed_equals_straight(tmp_path, MID, dict(workers=2, persistent=True))
    assert [idx for idx, _, _ in seen(resumed)] == [2, 3, 4]


@pytest.mark.stack
def test_at_the_end_of_an_epoch(tmp_path):
    """Two workers before the stop, none afterwards; the missed validation is made up for."""
    resumed = resumed_equals_straight(tmp_path, dict(workers=2, **END), **BY_EPOCH)
    history = resumed.message_hub.runtime_info['rescom_results/history']
    assert [entry['iter'] for entry in history] == [5, 10]


def test_at_the_last_iteration_of_an_epoch(tmp_path):
    """No batch is left of it, but what comes at its end."""
    resumed = resumed_equals_straight(tmp_path, dict(stop=dict(iteration=5)))
    assert [idx for idx, _, _ in seen(resumed)] == [0, 1, 2, 3, 4]


def matrix(folder):
    for kind, options in (('mid', {}), ('end', BY_EPOCH)):
        run(folder / kind, **options)
        for i, (workers, persistent) in enumerate(WORKERS):
            first = dict(workers=workers, persistent=persistent)
            for second in (first, dict(zip(('workers', 'persistent'), WORKERS[i - 2]))):
                stopped = folder / f'{kind}-{i}-{second["workers"]}'
                run(stopped, **first, **(MID if kind == 'mid' else END), **options)
                rank = run(stopped, resume=True, **second, **options).rank
                if rank == 0:
                    compare(folder / kind, stopped)


@pytest.mark.slow
@pytest.mark.parametrize('world', [1, 2])
def test_any_number_of_workers(tmp_path, world):
    """0, 2, 3 workers, persistent or not, the same or another number after the stop."""
    if world == 1:
        matrix(tmp_path)
    else:
        in_processes(world, matrix, tmp_path)


def two_ranks(folder):
    # the second of three accumulated iterations; batch statistics differ between the ranks
    resumed = resumed_equals_straight(folder, optim_wrapper__accumulative_counts=3)
    if resumed.rank == 0:
        first, second = load(folder / 'straight' / 'iter_7.pth')['rescom_mm']['ranks']
        assert first['gradients'] and first['gradients'].keys() == second['gradients'].keys()
        assert not first['buffers'] and any('running_mean' in name for name in second['buffers'])
        assert not any(name.startswith('queue') for name in second['buffers'])
        assert load(folder / 'straight' / 'iter_6.pth')['rescom_mm']['ranks'][1]['gradients'] == {}


def test_two_ranks(tmp_path):
    in_processes(2, two_ranks, tmp_path)


@OPTIM_WRAPPERS.register_module()
class CPUAmp(OptimWrapper):
    """AmpOptimWrapper wants an accelerator; its context alone does on a CPU."""

    @contextlib.contextmanager
    def optim_context(self, model):
        with super().optim_context(model), torch.autocast('cpu', torch.bfloat16):
            yield


SYNC = dict(default_hooks__sync=dict(type='SyncBuffersHook'))
MIXUP = dict(
    config=ROOT / 'configs/baselines/ce_tiny_digits-lt.py', model__projector=None,
    model__train_cfg=dict(augments=[dict(type='Mixup', alpha=0.8), dict(type='CutMix', alpha=1.)]))
EARLY = dict(default_hooks__early=dict(type='EarlyStoppingHook', monitor='shot/all',
                                       rule='greater', min_delta=20, patience=9))
VARIANTS = {
    'accumulation': dict(optim_wrapper__accumulative_counts=3),
    'moco': MOCO,
    'bfloat16': dict(optim_wrapper__type='CPUAmp'),
    'averaged statistics': dict(default_hooks__ema=dict(
        type='EMAHook', momentum=0.1, update_buffers=True)),
    'iterations': BY_ITER,
    'iterations without end': dict(BY_ITER, train_dataloader__sampler=dict(type='InfiniteSampler')),
    'mixup': MIXUP,
    'synchronised statistics': dict(default_hooks__sync=dict(type='SyncBuffersHook')),
    'no seed': dict(randomness__seed=None),
    'early stopping': EARLY,
    # the checkpoint that is resumed was saved inside a validation
    'best checkpoint': dict(EARLY, first=MID, default_hooks__checkpoint=dict(
        interval=1, save_best='shot/all', rule='greater', max_keep_ckpts=-1)),
    'validation after iterations': dict(BY_ITER, first=dict(stop=dict(iteration=8))),
    'inside a validation': dict(first=dict(stop=dict(val_iter=5))),
    'inside a validation after iterations': dict(BY_ITER, first=dict(stop=dict(val_iter=8))),
}
CI = ('accumulation', 'iterations without end', 'best checkpoint', 'inside a validation')


def variant(folder, name):
    options = dict(VARIANTS[name])
    first = options.pop('first', None)
    resumed_equals_straight(folder / name, first, dict(workers=2), **options)


@pytest.mark.parametrize('name', [
    pytest.param(name, marks=() if name in CI else pytest.mark.slow) for name in VARIANTS])
def test_variants(tmp_path, name):
    variant(tmp_path, name)


def all_variants(folder):
    for name in VARIANTS:
        if name != 'mixup':
            variant(folder, name)


@pytest.mark.slow
def test_variants_on_two_ranks(tmp_path):
    in_processes(2, all_variants, tmp_path)
