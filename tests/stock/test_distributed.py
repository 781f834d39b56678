"""What stock parts do in several processes."""

from unittest import mock

import pytest
import torch
import torch.distributed as dist
from mmengine.hooks import SyncBuffersHook
from mmengine.logging import MMLogger
from mmengine.runner import Runner
from mmpretrain.models import MoCo
from mmpretrain.registry import DATASETS

from tests.faults import build, finite, only
from tests.resuming import FewDigits, in_processes, seen
from tests.stock.parts import stock_faults, stock_run


@pytest.mark.parametrize('rows', [4, 3])
def test_queue(rows):
    """mmpretrain has one queue, MoCo's: its batches must divide its length (AssertionError without
    a message), so that a ragged last batch ends the training; it has no labels."""
    model = MoCo.__new__(MoCo)
    torch.nn.Module.__init__(model)
    model.queue_len = 8
    model.register_buffer('queue', torch.zeros(2, 8))
    model.register_buffer('queue_ptr', torch.zeros(1, dtype=torch.long))
    if rows == 4:
        model._dequeue_and_enqueue(torch.ones(rows, 2))
        assert model.queue_ptr == 4
    else:
        with pytest.raises(AssertionError) as error:
            model._dequeue_and_enqueue(torch.ones(rows, 2))
        assert not str(error.value)


def averaged(folder):
    """A model whose ranks hold a queue each; after the hook, what they have."""
    model = torch.nn.Module()
    rank = dist.get_rank()
    model.register_buffer('keys', torch.eye(2)[rank])
    model.register_buffer('labels', torch.tensor([3, 7])[rank:rank + 1].clone())
    model.register_buffer('ptr', torch.tensor(rank))
    runner = Runner.__new__(Runner)
    runner.model = model
    SyncBuffersHook().after_train_epoch(runner)
    torch.save(dict(model.state_dict()), folder / f'{rank}.pt')


@pytest.mark.slow
def test_sync_buffers_hook(tmp_path):
    """SyncBuffersHook averages whatever is a buffer: if the ranks' queues differ, unit keys become
    shorter ones that neither rank had, and labels 3 and 7 become 5."""
    in_processes(2, averaged, tmp_path)
    for rank in range(2):
        state = torch.load(tmp_path / f'{rank}.pt')
        assert state['keys'].tolist() == [0.5, 0.5]
        assert state['labels'].tolist() == [5] and state['ptr'] == 0


@DATASETS.register_module()
class Reversed(FewDigits):
    """The same images in another order."""

    def load_data_list(self):
        return super().load_data_list()[::-1]


def other_lists(folder):
    said = []
    with mock.patch.object(MMLogger, 'warning', lambda self, text, *args: said.append(text)):
        runner = stock_run(folder / 'run', train_dataloader__dataset__type=(
            'Reversed' if dist.get_rank() else 'FewDigits'))
    epoch = [number for _, batch, _ in seen(runner)[:5] for number in batch]
    torch.save((epoch, said, runner.iter), folder / f'{dist.get_rank()}.pt')


@pytest.mark.slow
def test_other_lists(tmp_path):
    """Nothing is said, and the run goes to its end: of 108 images 26 are trained on twice in an
    epoch and 26 not at all."""
    in_processes(2, other_lists, tmp_path)
    (one, said, iters), (two, _, _) = (torch.load(tmp_path / f'{rank}.pt') for rank in range(2))
    two = [107 - number for number in two]
    assert iters == 10 and not any('differ' in text for text in said)
    assert len(FewDigits()) == 108 and len(set(one)) == len(set(two)) == 54
    assert len({*one} & {*two}) == 26 and len({*range(108)} - {*one, *two}) == 26


def not_finite(folder):
    runner = build(folder, {3: 'overflow'}, **stock_faults(), rank=1, launcher='pytorch',
                   model_wrapper_cfg=dict(type='MMDistributedDataParallel', device_ids=None,
                                          broadcast_buffers=False))
    runner.train()
    torch.save([finite(only(state, 'model.')) for state in runner.states],
               folder / f'{dist.get_rank()}.pt')


@pytest.mark.slow
def test_loss_of_one_rank_is_not_finite(tmp_path):
    """The weights of both ranks are NaN from that step on; both train to the end."""
    in_processes(2, not_finite, tmp_path)
    for rank in range(2):
        assert torch.load(tmp_path / f'{rank}.pt') == [True] * 3 + [False] * 5
