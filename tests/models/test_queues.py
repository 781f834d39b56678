"""Queues against the golden vectors and a key-by-key loop."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rescom_mm.models import ClassBalancedQueue, FIFOQueue
from tests.reference import LoopQueue


def test_golden_enqueue(golden):
    case = golden['enqueue']
    queue = ClassBalancedQueue(case['K'], 3, 3)
    queue._keys_QD.copy_(torch.tensor(case['queue']))
    queue._ptr_G.copy_(torch.tensor(case['ptr']))
    queue.write(torch.tensor(case['z']), torch.tensor(case['y'], dtype=torch.int32))
    np.testing.assert_allclose(queue.keys, case['queue_after'], atol=1e-5)
    assert queue._ptr_G.tolist() == case['ptr_after']


@settings(max_examples=150)
@given(st.data())
def test_matches_key_by_key_loop(data):
    """Batches with padding, empty ones, and more rows of a class than it has slots."""
    classes, per_class = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 4))
    fifo = data.draw(st.booleans())
    dim = 3
    if fifo:
        queue, loop = FIFOQueue(per_class, classes, dim), LoopQueue([per_class], dim)
    else:
        queue = ClassBalancedQueue(per_class, classes, dim)
        loop = LoopQueue([per_class] * classes, dim)
    generator = np.random.default_rng(data.draw(st.integers(0, 2**31)))
    for _ in range(data.draw(st.integers(1, 5))):
        n = data.draw(st.integers(0, 14))
        keys = generator.normal(size=(n, dim)).astype(np.float32)
        labels = generator.integers(-1, classes, n)
        queue.write(torch.tensor(keys), torch.tensor(labels, dtype=torch.int32))
        loop.write(keys, labels, [0] * n if fifo else labels)
        expected_keys, expected_labels, expected_valid = loop.flat()
        assert queue.valid.tolist() == expected_valid
        np.testing.assert_array_equal(queue.keys.numpy(), expected_keys)  # bit for bit
        assert queue._ptr_G.tolist() == loop.pointers
        for mine, theirs in zip(queue.labels.tolist(), expected_labels):
            assert theirs is None or mine == theirs


def test_random_init_counts_as_keys():
    masked, random = ClassBalancedQueue(2, 3, 4), ClassBalancedQueue(2, 3, 4, init='random')
    assert not masked.valid.any() and random.valid.all()
    torch.testing.assert_close(random.keys.norm(dim=1), torch.ones(6))


def test_stage_and_commit():
    queue = ClassBalancedQueue(2, 3, 4)
    views = torch.stack([torch.eye(4)[:2], torch.eye(4)[2:]])
    queue.stage(torch.zeros(2, 2, 4), torch.tensor([2, 2]))
    queue.stage(views, torch.tensor([0, 2]))  # a second call replaces the first
    assert not queue.valid.any()  # staging alone writes nothing
    assert set(queue.state_dict()) == {'_keys_QD', '_written_Q', '_ptr_G', '_commits'}
    queue.commit(view=1)
    assert queue.keys[0].tolist() == [0, 0, 1, 0] and queue.keys[4].tolist() == [0, 0, 0, 1]
    before = {name: value.clone() for name, value in queue.state_dict().items()}
    queue.commit()  # nothing staged
    assert all(torch.equal(value, before[name]) for name, value in queue.state_dict().items())


def test_key_that_is_not_finite_is_not_written():
    queue = ClassBalancedQueue(1, 3, 2)
    keys = torch.tensor([[1.0, 0.0], [float('nan'), 0.0], [0.0, float('inf')]])
    queue.stage(keys[None], torch.tensor([0, 1, 2]))
    queue.commit()
    assert queue.valid.tolist() == [True, False, False]
    queue.stage(keys[None, 1:], torch.tensor([0, 1]))  # no finite row at all
    queue.commit()
    assert queue.keys[0].tolist() == [1, 0] and torch.isfinite(queue.keys).all()


def test_staging_without_commit_ends_with_the_line_to_add():
    queue = ClassBalancedQueue(1, 2, 2)
    with pytest.raises(RuntimeError, match='ClassBalancedQueueHook'):
        for _ in range(20):
            queue.stage(torch.zeros(2, 1, 2), torch.tensor([0]))


def test_status():
    queue = ClassBalancedQueue(2, 2, 2)
    assert queue.status() == dict(fill=0, age=0)
    for _ in range(3):
        queue.write(torch.ones(1, 2), torch.tensor([1], dtype=torch.int32))
    assert queue.status() == dict(fill=0.5, age=0.5)  # ages 0 and 1
    queue.reset()
    assert queue.status() == dict(fill=0, age=0)


@pytest.mark.parametrize('options', [
    dict(keys_per_class=0, num_classes=2, feat_dim=2),
    dict(keys_per_class=1, num_classes=2, feat_dim=0),
    dict(keys_per_class=1, num_classes=2, feat_dim=2, init='zeros'),
])
def test_bad_options(options):
    with pytest.raises(ValueError, match='ClassBalancedQueue'):
        ClassBalancedQueue(**options)
