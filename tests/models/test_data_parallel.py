"""Two processes with N images each train like one with 2N."""

import os
import socket

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel

import rescom_mm  # noqa: F401
from rescom_mm.models import SiameseClassifier
from tests.models.test_siamese_classifier import batch, config

N, STEPS = 6, 20


def make(in_batch_pairs):
    """A model without batch statistics, its queue part full."""
    torch.manual_seed(0)
    parts = config()
    parts['backbone']['norm_cfg'] = dict(type='GN', num_groups=1)
    parts['projector']['norm_cfg'] = dict(type='LN')
    parts['contrastive_loss']['in_batch_pairs'] = in_batch_pairs
    model = SiameseClassifier(**parts).train()
    keys = torch.nn.functional.normalize(torch.randn(5, 6), dim=1)
    model.queue.write(keys, torch.tensor([0, 0, 1, 2, 2], dtype=torch.int32))
    return model


def data(model, step, rows=slice(None)):
    torch.manual_seed(100 + step)
    whole = batch(2 * N)
    # classes of colours that can be learnt: were all keys to become one, the hardest would be those
    # that the rounding makes so, and the two trainings part there
    for view in whole['inputs']:
        for i, image in enumerate(view):
            image[i % 3] = 255 - image[i % 3] // 8
    part = dict(inputs=[view[rows] for view in whole['inputs']],
                data_samples=whole['data_samples'][rows])
    return model.data_preprocessor(part, training=True)


def train(model, forward, average, rows, steps):
    """Losses of each step; and gradient and queue of the first, before any update."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    out = dict(losses=[])
    for step in range(steps):
        losses = forward(**data(model, step, rows), mode='loss')
        optimizer.zero_grad()
        sum(losses.values()).backward()
        model.queue.commit(rows=N)
        out['losses'].append({name: average(value.detach()) for name, value in losses.items()})
        if step == 0:
            out['grads'] = {name: p.grad.clone() for name, p in model.named_parameters()}
            out['queue'] = {k: v.clone() for k, v in model.queue.state_dict().items()}
        optimizer.step()
    out['state'] = model.state_dict()
    return out


def average_over_ranks(value):
    dist.all_reduce(value)
    return value / dist.get_world_size()


def worker(rank, port, in_batch_pairs, steps, folder):
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    dist.init_process_group('gloo', rank=rank, world_size=2)
    torch.set_num_threads(1)
    model = make(in_batch_pairs)
    out = train(model, DistributedDataParallel(model), average_over_ranks,
                slice(rank * N, (rank + 1) * N), steps)
    torch.save(out, f'{folder}/{rank}.pth')
    dist.destroy_process_group()


def two_processes(in_batch_pairs, steps, folder):
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    mp.start_processes(worker, (port, in_batch_pairs, steps, str(folder)), nprocs=2,
                       start_method='spawn')
    first, second = (torch.load(folder / f'{rank}.pth') for rank in range(2))
    for name, value in first['queue'].items():
        assert torch.equal(value, second['queue'][name]), name
    for name, value in first['state'].items():
        assert torch.equal(value, second['state'][name]), name
    return first


@pytest.fixture
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_two_processes_train_like_one(one_thread, tmp_path):
    two = two_processes(False, STEPS, tmp_path)
    model = make(False)
    one = train(model, model, lambda value: value, slice(None), STEPS)
    for name, value in one['queue'].items():
        assert torch.equal(value, two['queue'][name]), name
    for name, value in one['grads'].items():
        torch.testing.assert_close(two['grads'][name], value, rtol=0, atol=1e-6)
    for step, (a, b) in enumerate(zip(one['losses'], two['losses'])):
        assert a['loss_con'] > 0
        for name in a:
            assert abs(a[name] - b[name]) < (1e-6 if step == 0 else 1e-5), (step, name)
    moved = 0.
    for name, value in one['state'].items():
        torch.testing.assert_close(two['state'][name], value, rtol=0, atol=1e-5)
        if 'head' in name:
            moved += float((value - make(False).state_dict()[name]).abs().sum())
    assert moved > 0.1


def test_in_batch_pairs_are_each_ranks_own(one_thread, tmp_path):
    two = two_processes(True, 1, tmp_path)
    model = make(True)
    parts = [model(**data(model, 0, slice(r * N, (r + 1) * N)), mode='loss') for r in range(2)]
    for name, value in two['losses'][0].items():
        assert abs(value - (parts[0][name] + parts[1][name]) / 2) < 1e-6, name
