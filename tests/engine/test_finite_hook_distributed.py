"""A loss that is not finite on one of two ranks: neither is spoilt, both end or both skip."""

import os
import socket

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

import rescom_mm  # noqa: F401
from tests.faults import build, finite, only, same, state_of

pytestmark = pytest.mark.slow

# call of the loss on rank 1 -> what fails
TRAININGS = dict(
    nan=dict(faults={3: 'nan'}),
    gradient=dict(faults={3: 'gradient'}),
    skip=dict(faults={2: 'nan', 4: 'gradient'}, max_skipped=2),
    skip_accumulated=dict(faults={2: 'nan', 3: 'nan'}, max_skipped=2,
                          optim_wrapper__accumulative_counts=2))


def train(folder, **options):
    runner = build(folder, rank=1, iterations=5, launcher='pytorch', model_wrapper_cfg=dict(
        type='MMDistributedDataParallel', device_ids=None, broadcast_buffers=False),
        default_hooks__ema=dict(type='EMAHook', momentum=0.1), **options)
    said = None
    try:
        runner.train()
    except FloatingPointError as error:
        said = str(error)
    return dict(said=said, now=state_of(runner), states=runner.states,
                skipped=runner.message_hub.runtime_info.get('rescom_finite/skipped'))


def worker(rank, port, folder):
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port), RANK=str(rank),
                      LOCAL_RANK=str(rank), WORLD_SIZE='2')
    torch.set_num_threads(1)
    dist.init_process_group('gloo')
    torch.save({name: train(f'{folder}/{name}', **options) for name, options in TRAININGS.items()},
               f'{folder}/{rank}.pth')
    dist.destroy_process_group()


@pytest.fixture(scope='module')
def ranks(tmp_path_factory):
    folder = tmp_path_factory.mktemp('two')
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    mp.start_processes(worker, (port, str(folder)), nprocs=2, start_method='spawn')
    return [torch.load(folder / f'{rank}.pth', weights_only=False) for rank in range(2)], folder


def shared(state):
    """What DDP keeps equal: not the statistics of normalisation layers, which are each rank's."""
    return {name: value for name, value in state.items()
            if 'running' not in name and 'num_batches' not in name}


@pytest.mark.parametrize('name', ['nan', 'gradient'])
def test_both_ranks_end(ranks, name):
    results, folder = ranks
    one, other = results[1][name], results[0][name]
    if name == 'nan':
        assert 'iteration 3: loss_cls is nan. Samples: sample ' in one['said']
    for said in (other['said'], one['said'] if name == 'gradient' else other['said']):
        assert 'iteration 3: the gradients are not finite, the losses of this process' in said
    for result in (one, other):
        assert finite_and_kept(result)
    assert same(shared(one['now']), shared(other['now']))
    assert not (folder / name / 'iter_3.pth').exists() and (folder / name / 'iter_2.pth').exists()
    assert all((folder / name / f'not_finite_iter_3_rank_{rank}.json').exists() for rank in (0, 1))


def finite_and_kept(result):
    queue = [only(state, 'model.queue') for state in (result['now'],
                                                                   result['states'][2])]
    return finite(result['now']) and same(*queue)


@pytest.mark.parametrize('name, unchanged', [('skip', [2, 4]), ('skip_accumulated', [2, 3])])
def test_both_ranks_skip(ranks, name, unchanged):
    for result in (ranks[0][0][name], ranks[0][1][name]):
        states = result['states']
        assert result['said'] is None and result['skipped'] == 2 and len(states) == 6
        assert [i for i in range(1, 6) if same(states[i], states[i - 1])] == unchanged
        for mine, theirs in zip(states, ranks[0][0][name]['states']):
            assert finite(mine) and same(shared(mine), shared(theirs))
