"""The queue over several processes: the same bits everywhere, ragged batches, one collective."""

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, Runner

import rescom_mm  # noqa: F401
from rescom_mm.engine import WholeCheckpointHook
from rescom_mm.models import ClassBalancedQueue, FIFOQueue, ReversedQueue
from rescom_mm.utils import StepFlags, any_on_ranks, same_on_all_ranks

ROWS, DIM, CLASSES, STEPS = 5, 3, 4, 6
OTHER = 2  # a flag beside STOP
CASES = [(2, 'balanced'), (3, 'balanced'), (2, 'fifo'), (2, 'reversed')]


def make(kind):
    if kind == 'reversed':
        return ReversedQueue(9, CLASSES, DIM, class_counts=[8, 3, 2, 1])
    return FIFOQueue(7, CLASSES, DIM) if kind == 'fifo' else ClassBalancedQueue(2, CLASSES, DIM)


def step_data(rank, step):
    """Ragged: rank r holds up to ROWS rows, other numbers each step; now and then a NaN."""
    generator = torch.Generator().manual_seed(100 * rank + step)
    rows = int(torch.randint(1, ROWS + 1, (), generator=generator))
    keys = torch.randn(2, rows, DIM, generator=generator)
    if (rank + step) % 3 == 0:
        keys[:, 0, 0] = float('nan')
    return keys, torch.randint(0, CLASSES, (rows,), generator=generator)


def run(rank, world, kind, folder):
    """Writes one queue in a process group of its own."""
    dist.init_process_group('gloo', f'file://{folder}/rendezvous', rank=rank, world_size=world)
    queue = make(kind)
    calls = []
    name = 'all_gather_single' if hasattr(dist, 'all_gather_single') else 'all_gather_into_tensor'
    gather = getattr(dist, name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dist, name, lambda *args: (calls.append(1), gather(*args)))
        for step in range(STEPS):
            queue.stage(*step_data(rank, step))
            queue.commit(view=1, rows=ROWS)
            assert len(calls) == step + 1  # one collective a step
        state = {name: value.clone() for name, value in queue.state_dict().items()}
        check_flags(queue, rank, calls)
    queue.load_state_dict(state)
    if world == 3:  # averaging the buffers over the ranks leaves equal ones equal
        from mmengine.dist import all_reduce_params
        all_reduce_params(queue.buffers(), op='mean')
    torch.save(queue.state_dict(), f'{folder}/{rank}.pth')
    check_resume_choice(rank, folder)
    assert any_on_ranks(rank == 1) and not any_on_ranks(False)
    assert same_on_all_ranks(b'\x07\xff') and not same_on_all_ranks(bytes([rank]))
    dist.destroy_process_group()


def check_flags(queue, rank, calls):
    """What one rank raises all know in the same step, with no collective beside the queue's."""
    runner = Runner.__new__(Runner)
    runner._train_loop = loop = BaseLoop.__new__(EpochBasedTrainLoop)
    flags, loop._iter = StepFlags.of(runner), 0
    assert StepFlags.of(runner) is flags
    calls.clear()
    for step in range(8):
        loop._iter, rides = step, step % 2 == 0
        if step in (2, 3) and rank == 1:
            flags.raise_flag(StepFlags.STOP)
        if step in (3, 4):
            flags.raise_flag(OTHER)
        if rides:
            queue.stage(*step_data(rank, step))
            queue.commit(rows=ROWS, flags=flags)
        assert flags.agreed(StepFlags.STOP) == (step in (2, 3))
        assert flags.agreed(OTHER, wait=False) == (step in (3, 4))
        assert len(calls) == step + 1


def check_resume_choice(rank, folder):
    """All ranks go on from what the first one has found."""
    class Logger:
        warning = print

    runner = Runner.__new__(Runner)
    runner._train_loop = BaseLoop.__new__(EpochBasedTrainLoop)
    runner._resume, runner._has_loaded, runner._load_from = True, False, None
    runner._work_dir, runner.logger, runner.cfg = f'{folder}/{rank}', Logger, {}
    path = Path(folder) / '0' / 'epoch_1.pth'
    if rank == 0:
        path.parent.mkdir()
        torch.save(dict(meta={}, state_dict={}, message_hub={}, optimizer={}), path)
    WholeCheckpointHook(interval=1).before_run(runner)
    assert runner._load_from == str(path)
    runner._load_from = f'{folder}/none.pth'
    with pytest.raises(ValueError, match=r'none.pth cannot be loaded'):
        WholeCheckpointHook(interval=1).before_run(runner)
    runner._load_from, runner._work_dir = None, f'{folder}/elsewhere'
    WholeCheckpointHook(interval=1).before_run(runner)
    assert runner._resume is False and runner._load_from is None


def worker(rank, folders):
    torch.set_num_threads(1)
    for (world, kind), folder in folders.items():
        if rank < world:
            run(rank, world, kind, folder)


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    """World size and kind of queue -> what its ranks saved; starting processes takes longest."""
    folders = {(world, kind): str(tmp_path_factory.mktemp(f'{kind}{world}'))
               for world, kind in CASES}
    # spawn: a fork of a process that has trained may inherit locked threads
    mp.start_processes(worker, (folders,), nprocs=3, start_method='spawn')
    return folders


@pytest.mark.parametrize('world, kind', CASES)
def test_equal_on_all_ranks_and_to_one_process(world, kind, folders):
    states = [torch.load(f'{folders[world, kind]}/{rank}.pth') for rank in range(world)]
    single = make(kind)
    for step in range(STEPS):
        parts = [step_data(rank, step) for rank in range(world)]
        single.stage(torch.cat([keys for keys, _ in parts], 1),
                     torch.cat([labels for _, labels in parts]))
        single.commit(view=1)
    for name, value in single.state_dict().items():
        for state in states:
            assert torch.equal(state[name], states[0][name]), name
        if world == 2:  # an average of two equal floats is exact, of three it may be rounded
            assert torch.equal(states[0][name], value), name
        else:
            torch.testing.assert_close(states[0][name], value, rtol=1e-6, atol=1e-7)
