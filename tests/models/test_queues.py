"""Queues against the golden vectors and a key-by-key loop."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rescom_mm.models import ClassBalancedQueue, FIFOQueue, ReversedQueue
from rescom_mm.utils import ClassCounts
from tests.reference import LoopQueue, mirrored_weights


def test_golden_enqueue(golden):
    case = golden['enqueue']
    queue = ClassBalancedQueue(case['K'], 3, 3)
    queue.keys.copy_(torch.tensor(case['queue']))
    queue._ptr_G[1:].copy_(torch.tensor(case['ptr']))
    queue.write(torch.tensor(case['z']), torch.tensor(case['y'], dtype=torch.int32))
    np.testing.assert_allclose(queue.keys, case['queue_after'], atol=1e-5)
    assert queue._ptr_G[1:].tolist() == case['ptr_after']


@settings(max_examples=150)
@given(st.data())
def test_matches_key_by_key_loop(data):
    """Batches with padding, empty ones, and more rows of a class than it has slots."""
    classes, per_class = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 4))
    kind = data.draw(st.sampled_from(['balanced', 'fifo', 'reversed']))
    fifo = kind == 'fifo'
    dim = 3
    if kind == 'reversed':
        counts = data.draw(st.lists(st.integers(1, 99), min_size=classes, max_size=classes))
        queue = ReversedQueue(per_class * classes, classes, dim, class_counts=counts)
        sizes = [queue.labels.tolist().count(c) for c in range(classes)]
        loop = LoopQueue(sizes, dim)
    elif fifo:
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
        assert queue._ptr_G[1:].tolist() == loop.pointers
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
    assert set(queue.state_dict()) == {'_keys_PD', '_written_P', '_ptr_G', '_commits'}
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


@pytest.mark.parametrize('dtype', [torch.uint8, torch.int32, torch.int64])
def test_labels_of_any_integers(dtype):
    queue, fifo = ClassBalancedQueue(1, 256, 2), FIFOQueue(3, 256, 2)
    keys = torch.tensor([[1.0, 0.0], [float('nan'), 0.0], [0.0, 1.0]])
    for one in (queue, fifo):
        one.stage(keys[None], torch.tensor([7, 9, 200], dtype=dtype))
        one.commit()
    assert queue.labels[queue.valid].tolist() == [7, 200]
    assert fifo.labels.tolist() == [7, 200, -1]
    for buffer in (queue._keys_PD, fifo._keys_PD):
        assert not buffer[0].any()  # the key that is none went there


@pytest.mark.parametrize('label', [3, 2**31 - 1, 2**32, -2])
def test_label_without_a_group(label):
    queue = ClassBalancedQueue(2, 3, 2)
    before = queue._keys_PD.clone()
    with pytest.raises(IndexError):
        queue.write(torch.ones(2, 2), torch.tensor([0, label]))
    assert torch.equal(queue._keys_PD, before)


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


@given(st.data())
def test_reversed_capacities(data):
    """Every slot is given out, at least one a class, as near to the mirrored share as that lets."""
    counts = data.draw(st.lists(st.integers(1, 2000), min_size=1, max_size=12))
    size = len(counts) + data.draw(st.integers(0, 300))
    queue = ReversedQueue(size, len(counts), 2, class_counts=counts)
    labels = queue.labels.tolist()
    capacities = [labels.count(c) for c in range(len(counts))]
    assert labels == sorted(labels) and sum(capacities) == size and min(capacities) >= 1
    shares = mirrored_weights(counts)
    exact = [size * w / sum(shares) for w in shares]
    if min(exact) >= 1:
        assert max(abs(c - e) for c, e in zip(capacities, exact)) < 1
    above = [c for c in range(len(counts)) if capacities[c] > 1]
    for a in above:  # those that share the rest do so in proportion, within the rounding
        for b in above:
            rate = (capacities[a] + 1) / shares[a]
            assert rate > (capacities[b] - 1) / shares[b]
    for a in range(len(counts)):
        for b in range(len(counts)):
            if counts[a] > counts[b]:
                assert capacities[a] <= capacities[b] + 1


def test_reversed_queue_by_hand():
    # shares 10 : 20 : 50 of 8 slots are 1, 2 and 5, in the order of the class ids
    queue = ReversedQueue(8, 3, 2, class_counts=[20, 50, 10])
    assert queue.labels.tolist() == [0, 0, 1, 2, 2, 2, 2, 2]
    # 1000 : 1: the tail's share is below one slot, which it gets nevertheless
    assert ReversedQueue(4, 2, 2, class_counts=[1000, 1]).labels.tolist() == [0, 1, 1, 1]
    assert ReversedQueue(6, 3, 2, class_counts=[7, 7, 7]).labels.tolist() == [0, 0, 1, 1, 2, 2]


def test_reversed_queue_takes_its_shape_from_counts_that_arrive_later():
    queue = ReversedQueue(8, 3, 2)
    before = dict(queue.named_buffers())
    with pytest.raises(RuntimeError, match='ClassCountsHook'):
        queue.labels  # noqa: B018
    with pytest.raises(RuntimeError, match='ClassCountsHook'):
        queue.write(torch.ones(1, 2), torch.tensor([0], dtype=torch.int32))
    queue.set_class_counts(ClassCounts((50, 20, 10), (9, 9, 9)))
    after = dict(queue.named_buffers())
    assert all(after[name] is buffer for name, buffer in before.items())
    assert set(queue.state_dict()) == {'_keys_PD', '_written_P', '_ptr_G', '_commits'}
    queue.write(torch.ones(3, 2), torch.tensor([0, 2, 2], dtype=torch.int32))
    assert queue.valid.tolist() == [True, False, False, True, True, False, False, False]
    queue.set_class_counts(ClassCounts((50, 20, 10), (9, 9, 9)))  # the same again: keys stay
    assert queue.valid.sum() == 3
    restored = ReversedQueue(8, 3, 2, class_counts=[50, 20, 10])
    restored.load_state_dict(queue.state_dict())
    assert torch.equal(restored.keys, queue.keys) and torch.equal(restored.valid, queue.valid)
    queue.set_class_counts(ClassCounts((10, 20, 50), (9, 9, 9)))  # other classes' slots now
    assert queue.labels.tolist() == [0] * 5 + [1] * 2 + [2] and not queue.valid.any()


@pytest.mark.parametrize('options, message', [
    (dict(size=2), 'set model.queue.size to 3 or more'),
    (dict(size=8, class_counts=[3, 2]), 'class_counts has 2 entries for num_classes=3'),
    (dict(size=8, class_counts=[3, 2, 0]), 'positive number of images'),
    (dict(size=8, init='zeros'), 'init must be'),
])
def test_bad_options_of_the_reversed_queue(options, message):
    with pytest.raises(ValueError, match=message):
        ReversedQueue(num_classes=3, feat_dim=2, **options)
