"""What the benchmarks measure is what they say."""

import argparse
import collections
import inspect
import json
import os

import branch
import epoch
import growth
import inference
import measure
import memory
import pytest
import startup
import torch
from mmengine.config import Config
from scipy import stats
from torch.utils._python_dispatch import TorchDispatchMode
from workload import PROJECTOR, SIAMBS, read_config, training_step

TINY = 'rescom_tiny_digits-lt'
CPU = torch.device('cpu')


def test_step_is_that_of_training():
    """Weights move, keys are written, and each variant has the losses that it should."""
    for options, losses in (({}, {'loss_cls', 'loss_con'}), (SIAMBS, {'loss_cls'}),
                            (PROJECTOR, {'loss_cls', 'loss_con'})):
        step = training_step(read_config(TINY, options), 8, 6, CPU)
        model = inspect.getclosurevars(step).nonlocals['model']
        before = [parameter.clone() for parameter in model.parameters()]
        for _ in range(2):
            assert set(step()) - {'loss'} == losses
        assert (model.projector is None) == (options is SIAMBS)
        assert all(not torch.equal(*pair) for pair in zip(before, model.parameters()))
        if not options:
            assert model.queue._commits == 3  # filled, and two steps
            assert model.queue.valid.all()
        else:
            assert model.queue is None


def test_inference_compares_equal_predictions():
    steps = inference.pair(TINY, 8, 5, CPU)
    assert len(steps['rescom']()) == len(steps['stock']()) == 5


def test_state_in_a_checkpoint():
    row = memory.state(TINY)
    assert row['queue_bytes'] == 10 * 10 * 32 * 4
    # when each slot was written, where each class goes on, and the number of commits; the spare
    # place and its key
    assert row['beyond_queue'] == 4 * 101 + 4 * 11 + 4 + 4 * 32
    assert row['released_bytes'] == row['queue_bytes'] + 8 * 10 * 9 * 10


class Calls(TorchDispatchMode):
    """Counts the operations that are called."""

    def __init__(self):
        super().__init__()
        self.counts = collections.Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.counts[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))


SMALL = branch.Shape(classes=9, keys=3, rows=12, dim=8, positives=2, negatives=7, written=40)


def test_released_structure_gives_the_same_numbers():
    """Loss, gradient and queue, while it is written: some classes get more keys than they hold."""
    both = branch.Branch(SMALL, CPU)
    step = both.released()
    structure = inspect.getclosurevars(step).nonlocals['branch']
    for _ in range(3):
        both.check(step)
        torch.testing.assert_close(structure.queue_DQ.T, both.queue.keys, rtol=0, atol=0)
        assert torch.equal(structure.pointers, both.queue._ptr_G[1:].long())
        both.keys_ED = both.keys_ED.flip(0)


def test_a_step_takes_few_operations():
    """Each costs some microseconds, on any device: one more is to be paid for by another.

    The released structure's grow with the keys.
    """
    both = branch.Branch(SMALL, CPU)
    assert branch.operations(both.ours) <= 87
    assert branch.operations(both.released()) > 5 * SMALL.written


def test_released_structure_does_what_it_says():
    both = branch.Branch(SMALL, CPU)
    structure = inspect.getclosurevars(both.released()).nonlocals['branch']
    assert structure.negative_table.dtype == torch.int64
    assert structure.negative_table.shape == (9, 8 * 3)
    for label, slots in enumerate(structure.negative_table.tolist()):
        assert slots == [slot for slot in range(27) if slot // 3 != label]
    with Calls() as loss:
        structure.loss(both.z_MD.detach(), both.labels_M)
    assert loss.counts['_local_scalar_dense'] == 3
    assert loss.counts['clone'] == 2  # the queue, and the batch's 0/1 targets
    with Calls() as write:
        structure.write(both.keys_ED, both.labels_E)
    assert write.counts['_local_scalar_dense'] == 3 * SMALL.written


def test_ours_writes_as_a_training_does_and_reads_nothing_back():
    both = branch.Branch(SMALL, CPU)
    both.keys_ED[3] = torch.nan  # refused, by a look at all keys
    with Calls() as ours:
        both.ours()
    assert not ours.counts['_local_scalar_dense'] and not ours.counts['nonzero']
    assert both.queue.keys.isfinite().all()


@pytest.mark.parametrize('n, left_out', [(1, 0), (2, 0), (5, 0), (6, 0), (9, 1), (21, 5), (30, 9),
                                         (40, 13), (3000, 1445)])
def test_interval_of_a_median(n, left_out):
    found = measure.summary(list(range(n))[::-1])
    assert (found['low'], found['high']) == (left_out, n - 1 - left_out)
    if n > 5:  # as wide as needed, and no wider
        assert 2 * stats.binom.cdf(left_out, n, 0.5) <= 0.05 < 2 * stats.binom.cdf(
            left_out + 1, n, 0.5)


def test_lists_of_the_start_up(tmp_path):
    startup.write_list(tmp_path, images=700, classes=9)
    lines = (tmp_path / 'iNaturalist18_train.txt').read_text().splitlines()
    assert len(lines) == 700 and {int(line.split()[1]) for line in lines} == set(range(9))


def test_peak_is_of_what_is_there_at_once():
    megabyte = 2**18  # float32

    def step():
        first = torch.empty(megabyte)
        del first
        second = torch.empty(2 * megabyte)
        return torch.empty(3 * megabyte), second

    assert memory.peak(step, CPU) == 5 * 2**20


def test_exponents():
    points = [dict(value=n, seconds=dict(median=1e-3 * n**1.5), bytes=7 * n) for n in (1, 10, 100)]
    assert growth.exponents(points) == pytest.approx(
        dict(time=1.5, time_last=1.5, memory=1, memory_last=1))
    assert growth.shape('W', 4).written == 4 * growth.BASE.written
    assert growth.shape('B', 16).rows == 32
    for variable, values in growth.VALUES.items():
        for of in (growth.shape(variable, value) for value in values):
            assert of.negatives <= (of.classes - 1) * of.keys and of.positives <= of.keys


def test_part_of_an_epoch(monkeypatch):
    monkeypatch.setitem(os.environ, 'LOCAL_RANK', '0')  # train.py sets it
    monkeypatch.setattr(Config, 'pretty_text', '')  # to format it takes longer than the training
    options = ['log_level=ERROR'] + [f'{name}_dataloader.{key}' for name in ('train', 'val')
                                     for key in ('num_workers=0', 'persistent_workers=False')]
    row = epoch.measure(str(measure.ROOT / 'configs' / 'rescom' / f'{TINY}.py'), options, 2, 9)
    assert row['iterations'] == 9 and row['per_epoch'] == 7
    assert 0 < row['waits_for_data'] < 1 and 'final' not in row
    assert row['epoch']['low'] <= row['epoch']['median'] < row['training']


@pytest.mark.parametrize('device, name', [('cpu', 'x.json'), ('cuda', 'x-gpu.json')])
def test_result_files(tmp_path, monkeypatch, device, name):
    monkeypatch.setattr(measure, 'ROOT', tmp_path)
    monkeypatch.setattr(measure, 'machine', lambda device: dict(gpu=device.type))
    args = measure.parser('', 'x').parse_args(['--device', device, '--rounds', '3'])
    measure.save(args, [dict(a=1)])
    found = json.loads((tmp_path / 'docs' / 'performance' / name).read_text())
    assert found['rows'] == [dict(a=1)] and found['options']['rounds'] == 3
    assert not {'out', 'name'} & set(found['options']) and isinstance(args, argparse.Namespace)
