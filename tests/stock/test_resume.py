"""What mmengine does where ours resume exactly."""

from unittest import mock

import pytest
import torch
from mmengine.logging import MMLogger

from tests.checkpoints import differences
from tests.engine.test_resume import BY_EPOCH, BY_ITER, END, MID
from tests.resuming import in_processes, seen
from tests.runs import load
from tests.stock.parts import checkpoints, stock_run

# nothing in it is random: no order, dropout, drop-path or augmentation
PLAIN = dict(BY_ITER, train_dataloader__sampler__shuffle=False,
             train_dataloader__dataset__pipeline=[dict(type='PackInputs')],
             model__head=dict(type='LinearClsHead', in_channels=32),
             model__backbone__drop_path_rate=0.0)


def weights_differ(straight, other, name):
    found = differences(straight / name, other / name)
    return any(key.startswith('state_dict.') for key in found)


def images(runner):
    return [numbers for _, numbers, _ in seen(runner)]


@pytest.mark.slow
def test_stop_inside_an_epoch(tmp_path):
    """The epoch begins again: of 5 iterations the 2 before the stop are trained a second time, the
    run makes 12 iterations in place of 10, and the weights differ."""
    straight = stock_run(tmp_path / 'straight')
    stock_run(tmp_path / 'again')
    assert differences(*(tmp_path / kind / 'iter_10.pth' for kind in ('straight', 'again'))) == []
    stock_run(tmp_path / 'stopped', **MID)
    again = stock_run(tmp_path / 'stopped', resume=True)
    assert straight.iter == 10 and again.iter == 12
    assert images(again) == images(straight)[5:]  # of which 2 were trained on before the stop
    assert weights_differ(tmp_path / 'straight', tmp_path / 'stopped', 'iter_10.pth')


@pytest.mark.slow
def test_stop_at_the_end_of_an_epoch(tmp_path):
    """The weights differ after the next epoch, and the validation that was due is left out."""
    options = {**BY_EPOCH, 'default_hooks__checkpoint': checkpoints(
        interval=1, max_keep_ckpts=-1)}
    stock_run(tmp_path / 'straight', **options)
    stock_run(tmp_path / 'stopped', **END, **options)
    stock_run(tmp_path / 'stopped', resume=True, **options)
    assert differences(*(tmp_path / kind / 'epoch_1.pth' for kind in ('straight', 'stopped'))) == []
    assert weights_differ(tmp_path / 'straight', tmp_path / 'stopped', 'epoch_2.pth')
    logs = [load(tmp_path / kind / 'epoch_2.pth')['message_hub']['log_scalars']
            for kind in ('straight', 'stopped')]
    assert ['val/accuracy/top1' in log for log in logs] == [True, False]


@pytest.mark.slow
def test_number_of_workers(tmp_path):
    """Without a stop: the weights with 2 workers are not those without workers."""
    for workers in (0, 2):
        stock_run(tmp_path / str(workers), workers=workers)
    assert weights_differ(tmp_path / '0', tmp_path / '2', 'iter_10.pth')


@pytest.mark.parametrize('persistent', [False, pytest.param(True, marks=pytest.mark.slow)])
def test_augmentations_of_two_epochs(tmp_path, persistent):
    """With workers that are not persistent (mmengine's default, not that of mmpretrain's tool) the
    second epoch has the draws of the first: in an order that stays, the same batches to the bit.
    With persistent ones it has not."""
    runner = stock_run(tmp_path, workers=2, persistent=persistent,
                       train_dataloader__sampler__shuffle=False)
    batches = [torch.stack(list(inputs)) for _, _, inputs in seen(runner)]
    same = [torch.equal(a, b) for a, b in zip(batches[:5], batches[5:])]
    assert same == [not persistent] * 5


@pytest.mark.slow
def test_variants(tmp_path):
    """An iteration-based run without anything random is resumed exactly; with drop-path it is not,
    nor under gradient accumulation, where what was accumulated before the stop is lost."""
    for kind, more, exact in (('plain', {}, True),
                              ('accumulation', dict(optim_wrapper__accumulative_counts=3), False),
                              ('drop-path', dict(model__backbone__drop_path_rate=0.3), False)):
        options = {**PLAIN, **more}
        stock_run(tmp_path / kind / 'straight', **options)
        stock_run(tmp_path / kind / 'stopped', **MID, **options)
        stock_run(tmp_path / kind / 'stopped', resume=True, **options)
        differ = weights_differ(*(tmp_path / kind / run for run in ('straight', 'stopped')),
                                'iter_12.pth')
        assert differ != exact, kind


def resumed(folder):
    """Keeps what is warned of in a resumed run, and how many images each iteration has."""
    said = []
    with mock.patch.object(MMLogger, 'warning', lambda self, text, *args: said.append(text)):
        runner = stock_run(folder, resume=True, train_dataloader__batch_size=24)
    torch.save((said, [len(batch) for batch in images(runner)]), folder / f'{runner.rank}.pt')


@pytest.mark.slow
def test_another_number_of_ranks(tmp_path):
    """Nothing is said, and an iteration takes 48 images in place of 24: mmengine's check of this
    reads `meta['config']`, while its checkpoints have `meta['cfg']`."""
    told = []
    for world in (1, 2):
        stock_run(tmp_path / str(world), train_dataloader__batch_size=24, stop=dict(iteration=5))
        if world == 1:
            resumed(tmp_path / '1')
        else:
            in_processes(2, resumed, tmp_path / '2')
        told.append([torch.load(tmp_path / str(world) / f'{rank}.pt') for rank in range(world)])
    (alone,), (first, second) = told
    assert first[0] == alone[0] and not any('process' in text or 'GPU' in text for text in first[0])
    assert alone[1][0] == 24 and first[1][0] + second[1][0] == 48
    meta = load(tmp_path / '1' / 'iter_5.pth')['meta']
    assert 'cfg' in meta and 'config' not in meta
