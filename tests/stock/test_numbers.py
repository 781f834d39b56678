"""What mmengine does with a loss that is not finite, and on a full device."""

import pytest
import torch

from tests.faults import build, finite, only
from tests.runs import load
from tests.stock.parts import stock_faults


def test_loss_that_is_not_finite(tmp_path):
    """The weights are NaN from that step on, the checkpoints too, and the run goes to its end."""
    runner = build(tmp_path, {4: 'overflow'}, **stock_faults())
    runner.train()
    assert [finite(only(state, 'model.')) for state in runner.states] == [True] * 4 + [False] * 4
    for iteration in (3, 4, 7):
        weights = load(tmp_path / f'iter_{iteration}.pth')['state_dict']
        assert finite(weights) == (iteration == 3)
    assert not finite(load(tmp_path / 'iter_7.pth')['optimizer']['state'][0])


@pytest.mark.slow
def test_gradients_that_are_not_finite(tmp_path):
    """The same, though the loss of that step is finite, and with `clip_grad` too; with
    `max_keep_ckpts=1` no good checkpoint is left."""
    for name, options in (('plain', {}), ('clipped', dict(optim_wrapper__clip_grad=dict(
            max_norm=1.0)))):
        runner = build(tmp_path / name, {2: 'gradient'}, **stock_faults(
            default_hooks__checkpoint__max_keep_ckpts=1, **options))
        runner.train()
        assert runner.iter == 7 and not finite(only(runner.states[2], 'model.'))
        assert [path.name for path in (tmp_path / name).glob('*.pth')] == ['iter_7.pth']
        assert not finite(load(tmp_path / name / 'iter_7.pth')['state_dict'])


@pytest.mark.slow
def test_full_device(tmp_path):
    """torch's message alone: how much could not be allocated."""
    with pytest.raises(torch.cuda.OutOfMemoryError) as error:
        build(tmp_path, {2: 'memory'}, **stock_faults()).train()
    assert str(error.value) == 'CUDA out of memory. Tried to allocate 2.00 MiB.'
