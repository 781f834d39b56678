"""A run that was stopped and resumed against one that was not: checkpoints, bit for bit."""

import math
import re
from pathlib import Path
from unittest import mock

import mmpretrain
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DATA_SAMPLERS
from mmengine.runner import EpochBasedTrainLoop, FlexibleRunner, Runner
from mmpretrain.registry import HOOKS

from rescom_mm.engine import ClassCountsHook, ResumeHook
from rescom_mm.evaluation import ShotAccuracy
from rescom_mm.utils import rebuild_loader
from tests.checkpoints import differences
from tests.resuming import (
    FewDigits,
    compare,
    few_config,
    in_processes,
    resumed_equals_straight,
    run,
    seen,
)
from tests.runs import ROOT, load, run_tool

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


@HOOKS.register_module()
class RankStateHook(Hook):
    """Has a number of its own on each rank, and counts how often it got one."""

    def __init__(self):
        self.numbers = []

    def rank_state(self, runner):
        return dict(number=100 + runner.rank)

    def load_rank_state(self, runner, state):
        self.numbers.append(state['number'])


def two_ranks(folder):
    # the second of three accumulated iterations; batch statistics differ between the ranks
    resumed = resumed_equals_straight(folder, optim_wrapper__accumulative_counts=3,
                                      default_hooks__rank_state=dict(type='RankStateHook'))
    state = next(hook for hook in resumed.hooks if isinstance(hook, RankStateHook))
    assert state.numbers == [100 + resumed.rank]
    if resumed.rank == 0:
        first, second = load(folder / 'straight' / 'iter_7.pth')['rescom_mm']['ranks']
        assert first['gradients'] and first['gradients'].keys() == second['gradients'].keys()
        assert not first['buffers'] and any('running_mean' in name for name in second['buffers'])
        assert not any(name.startswith('queue') for name in second['buffers'])
        assert load(folder / 'straight' / 'iter_6.pth')['rescom_mm']['ranks'][1]['gradients'] == {}


    check_lists(resumed.rank)
    # what one process began, two finish
    resumed = run(folder / 'alone', resume=True, train_dataloader__batch_size=24)
    assert resumed.iter == 6 and [idx for idx, _, _ in seen(resumed)] == [1, 2]


def check_lists(rank):
    """The ranks are told if their lists differ, be it in the order alone."""
    digits = FewDigits()
    ClassCountsHook._check_ranks(digits)
    if rank == 1:
        digits.load_data_list, items = (lambda: items[::-1]), digits.load_data_list()
        digits._fully_initialized = False
        digits.full_init()
    with pytest.raises(ValueError, match='the ranks hold different training sets'):
        ClassCountsHook._check_ranks(digits)


def test_two_ranks(tmp_path):
    run(tmp_path / 'alone', **MID)
    in_processes(2, two_ranks, tmp_path)


@HOOKS.register_module()
class BadBatch(Hook):
    """Makes the images of one iteration NaN."""

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == 6:
            data_batch['inputs'] = [view * torch.nan for view in data_batch['inputs']]


SYNC = dict(default_hooks__sync=dict(type='SyncBuffersHook'))
MIXUP = dict(
    config=ROOT / 'configs/baselines/ce_tiny_digits-lt.py', model__projector=None,
    model__train_cfg=dict(augments=[dict(type='Mixup', alpha=0.8), dict(type='CutMix', alpha=1.)]))
EARLY = dict(default_hooks__early=dict(type='EarlyStoppingHook', monitor='shot/all',
                                       rule='greater', min_delta=20, patience=9))
VARIANTS = {
    'accumulation': dict(optim_wrapper__accumulative_counts=3),
    'moco': MOCO,
    'bfloat16': dict(optim_wrapper__type='BFloat16OptimWrapper'),
    'bfloat16, channels last': dict(optim_wrapper__type='BFloat16OptimWrapper',
                                    data_preprocessor__channels_last=True),
    'averaged statistics': dict(default_hooks__ema=dict(
        type='EMAHook', momentum=0.1, update_buffers=True)),
    'iterations': BY_ITER,
    'iterations without end': dict(BY_ITER, train_dataloader__sampler=dict(type='InfiniteSampler')),
    'mixup': MIXUP,
    'synchronised statistics': dict(default_hooks__sync=dict(type='SyncBuffersHook')),
    'no seed': dict(randomness__seed=None),
    'a seed for each rank': dict(randomness__diff_rank_seed=True),
    'early stopping': EARLY,
    # the checkpoint that is resumed was saved inside a validation
    # the seventh iteration is one of three that a step is made of; it is to be left out
    'skipped step': dict(optim_wrapper__accumulative_counts=3,
                         default_hooks__finite=dict(type='FiniteHook', max_skipped=2),
                         default_hooks__bad=dict(type='BadBatch')),
    'best checkpoint': dict(EARLY, first=MID, default_hooks__checkpoint=dict(
        interval=1, save_best='shot/all', rule='greater', max_keep_ckpts=-1)),
    'validation after iterations': dict(BY_ITER, first=dict(stop=dict(iteration=8))),
    # (its strategies cannot have EMAHook, nor can it say what ResultsHook asks)
    'flexible runner': dict(kind=FlexibleRunner, default_hooks__ema=None,
                            default_hooks__results=None),
    'inside a validation': dict(first=dict(stop=dict(val_iter=5))),
    'inside a validation after iterations': dict(BY_ITER, first=dict(stop=dict(val_iter=8))),
}
CI = ('iterations without end', 'inside a validation')


def variant(folder, name):
    options = dict(VARIANTS[name])
    first = options.pop('first', None)
    resumed_equals_straight(folder / name, first, dict(workers=2), **options)


@pytest.mark.parametrize('name', [
    pytest.param(name, marks=() if name in CI else pytest.mark.slow) for name in VARIANTS])
def test_variants(tmp_path, name):
    variant(tmp_path, name)


@pytest.mark.slow
def test_a_run_that_stopped_early_stays_stopped(tmp_path):
    """Its last checkpoint is that of the best metric, written after the decision."""
    options = dict(train_cfg__max_epochs=6, default_hooks__checkpoint=dict(
        interval=1, max_keep_ckpts=-1, save_best='shot/all', rule='greater'),
        default_hooks__early=dict(EARLY['default_hooks__early'], patience=1, min_delta=200.))
    with mock.patch.object(ShotAccuracy, 'compute_metrics',
                           lambda self, results: dict(all=MessageHub.get_current_instance()
                                                      .get_info('iter'))):
        ended = run(tmp_path, **options).epoch
        assert ended == 2
        assert run(tmp_path, resume=True, **options).epoch == ended
        options['default_hooks__early']['patience'] = 3  # which is to go on
        assert run(tmp_path, resume=True, **options).epoch > ended


def all_variants(folder):
    for name in VARIANTS:
        if name not in ('mixup', 'flexible runner'):
            variant(folder, name)


@pytest.mark.slow
def test_variants_on_two_ranks(tmp_path):
    in_processes(2, all_variants, tmp_path)


def three_ranks(folder):
    resumed_equals_straight(folder, find_unused_parameters=True,
                            default_hooks__sync=dict(type='SyncBuffersHook'))


@pytest.mark.slow
def test_three_ranks(tmp_path):
    """With find_unused_parameters DDP sums in the same order from the first step on."""
    in_processes(3, three_ranks, tmp_path)


def record(folder, options):
    """Runs it and keeps what each rank has seen in the second epoch, and was told."""
    said = []
    with mock.patch.object(MMLogger, 'warning', lambda self, text, *args: said.append(text)):
        runner = run(folder / 'run', **options)
    batches = seen(runner)
    second = max(i for i in range(len(batches)) if i == 0 or batches[i][0] == 0)
    torch.save(dict(batches=batches[second:], said=said, iter=runner.iter),
               folder / f'{options.get("resume", False)}-{runner.rank}.pth')


def recorded(folder, world, **options):
    """The images in the order of all ranks, the two views of each, and the first rank's record."""
    options = dict(train_dataloader__batch_size=11, **options)
    folder.mkdir(exist_ok=True)
    record(folder, options) if world == 1 else in_processes(world, record, folder, options)
    records = [torch.load(folder / f'{options.get("resume", False)}-{rank}.pth')
               for rank in range(world)]
    order, looks = [], {}
    for step in zip(*(rank['batches'] for rank in records)):
        order += [image for images in zip(*(images for _, images, _ in step)) for image in images]
        for _, images, inputs in step:
            looks.update(zip(images, zip(*inputs)))
    return order, looks, records[0]


@pytest.mark.slow
@pytest.mark.parametrize('before, after', [(1, 2), (2, 1), (2, 3)])
def test_another_number_of_ranks(tmp_path, before, after):
    """The epoch goes on in the same order of images, which look the same."""
    order, looks, _ = recorded(tmp_path / 'straight', 1)
    size = len(order)
    per_epoch = [math.ceil(math.ceil(size / world) / 11) for world in (before, after)]
    first, _, _ = recorded(tmp_path / 'changed', before,
                           stop=dict(iteration=per_epoch[0] + 3), workers=2)
    consumed = 3 * 11 * before
    assert first == order[:consumed]
    second, others, told = recorded(tmp_path / 'changed', after, resume=True)
    start = consumed // after * after  # 33 of one process: one image comes again
    assert second[:size - start] == order[start:] and second[size - start:] == order[:-size % after]
    for image, look in others.items():
        assert all(torch.equal(*pair) for pair in zip(look, looks[image])), image
    assert told['iter'] == 2 * per_epoch[1]
    line = next(text for text in told['said'] if text.startswith('resumed with'))
    processes = 'process' if after == 1 else 'processes'
    assert f'{after} {processes} instead of {before}: {11 * after} images an iteration' in line
    assert ('images come twice' in line) == (start < consumed)


def stock_position(file):
    """Makes a checkpoint one that mmengine alone has written."""
    checkpoint = load(file)
    del checkpoint['rescom_mm']
    torch.save(checkpoint, file)


@pytest.mark.parametrize('name', ['epochs', 'iterations', 'iterations without end'])
@pytest.mark.slow
def test_checkpoint_of_mmengine_alone(tmp_path, name):
    """Then the position follows from the iterations, and the seed is the config's."""
    options = VARIANTS.get(name, {})
    run(tmp_path / 'straight', **options)
    run(tmp_path / 'stopped', **options, **MID)
    stock_position(tmp_path / 'stopped' / 'iter_7.pth')
    run(tmp_path / 'stopped', resume=True, **options)
    assert differences(*(tmp_path / kind / 'iter_10.pth' for kind in ('straight', 'stopped'))) == []


@pytest.mark.slow
def test_stock_train_tool(tmp_path):
    """mmpretrain's own tools/train.py, a process each; persistent workers, as it sets them."""
    (tmp_path / 'few.py').write_text(f'''
_base_ = {str(ROOT / "configs/rescom/rescom_tiny_digits-lt.py")!r}
custom_imports = dict(imports=['rescom_mm', 'tests.resuming'])
train_cfg = dict(max_epochs=2)
train_dataloader = dict(batch_size=24, num_workers=2, dataset=dict(type='FewDigits'))
val_dataloader = dict(persistent_workers=False)
model = dict(backbone=dict(drop_path_rate=0.3))
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=1, max_keep_ckpts=-1),
                     ema=dict(type='EMAHook'), stop=dict(type='StopAt'))
''')
    tool = Path(mmpretrain.__file__).parent / '.mim' / 'tools' / 'train.py'
    for folder, *options in (
            ('straight',), ('stopped', '--cfg-options', 'default_hooks.stop.iteration=7'),
            ('stopped', '--resume')):
        run_tool(tool, tmp_path / 'few.py', '--work-dir', tmp_path / folder, *options,
                 env=dict(PYTHONPATH=str(ROOT)), check='--cfg-options' not in options)
    assert (tmp_path / 'stopped' / 'iter_7.pth').is_file()
    compare(tmp_path / 'straight', tmp_path / 'stopped')


class OtherLoop(EpochBasedTrainLoop):
    """Somebody's own."""


@DATA_SAMPLERS.register_module()
class OtherBatches(torch.utils.data.BatchSampler):
    """Somebody's own."""


@pytest.fixture
def said(monkeypatch):
    """What loggers warn of."""
    texts = []
    monkeypatch.setattr(MMLogger, 'warning', lambda self, text, *args: texts.append(text))
    return texts


def test_unknown_loops_and_batch_samplers_are_left_alone(tmp_path, said):
    runner = Runner.from_cfg(few_config(tmp_path, train_dataloader__batch_sampler=dict(
        type='OtherBatches', drop_last=False)))
    loop, batches = runner.train_loop, runner.train_dataloader.batch_sampler
    runner.call_hook('before_run')
    runner.call_hook('before_run')  # mmengine may call it again
    assert runner.train_dataloader.batch_sampler is batches and type(loop) is EpochBasedTrainLoop
    assert [text for text in said if 'ResumeHook' in text] == [
        'ResumeHook does not know the batch sampler OtherBatches: a resumed run will not be the '
        'same as one without a stop']
    loop.__class__ = OtherLoop
    runner.call_hook('before_run')
    assert any('does not know the training loop OtherLoop' in text for text in said)


def test_a_batch_sampler_of_torch_is_known(tmp_path):
    run(tmp_path, train_dataloader__batch_sampler=dict(
        type=torch.utils.data.BatchSampler, drop_last=True), train_cfg__max_epochs=1)
    assert load(tmp_path / 'iter_4.pth')['rescom_mm']['position'] == (0, 96)


def test_compiled_model_with_a_short_last_batch(tmp_path, said):
    runner = Runner.from_cfg(few_config(tmp_path))
    runner.train_loop  # noqa: B018
    runner.call_hook('before_run')
    hook = next(hook for hook in runner.hooks if isinstance(hook, ResumeHook))
    for compiled, drop_last, warned in ((False, False, False), (True, True, False),
                                        (dict(dynamic=True), False, False), (True, False, True)):
        runner.cfg.compile = compiled
        runner.train_loop.dataloader = rebuild_loader(runner.train_dataloader, drop_last=drop_last)
        hook.before_train(runner)
        assert any('the last batch of an epoch is smaller' in text for text in said) == warned


def test_what_is_said_at_a_resume(tmp_path, said):
    run(tmp_path, **MID)
    torch.set_num_threads(2)
    try:
        run(tmp_path, resume=True, optim_wrapper__optimizer__lr=0.5,
            train_dataloader__batch_size=20, train_dataloader__dataset__step=5)
    finally:
        torch.set_num_threads(1)
    said = [text for text in said if text.startswith('resumed with')]
    assert len(said) == 4
    assert re.match(r'resumed with initial_lr=\S+ of the checkpoint, not 0.5 of the', said[0])
    del said[0]
    assert 'training images instead of' in said[0] and 'another one' in said[0]
    assert 'batch_size=20 instead of 24: 20 images an iteration instead of 24' in said[1]
    assert '2 threads of torch instead of 1' in said[2]
