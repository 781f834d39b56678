"""What the benchmarks measure is what they say."""

import argparse
import inspect
import json
import os

import epoch
import growth
import inference
import measure
import memory
import pytest
import torch
from mmengine.config import Config
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
    # when each slot was written, where each class goes on, and the number of commits
    assert row['beyond_queue'] == 4 * 100 + 4 * 10 + 4
    assert row['released_bytes'] == row['queue_bytes'] + 8 * 10 * 9 * 10


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
