"""SPMLoss against golden values and the slow reference, loss and gradient."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from rescom_mm.models import ClassBalancedQueue, FIFOQueue, ReversedQueue, SPMLoss
from rescom_mm.models.losses import effective_number_weights, mining
from rescom_mm.models.losses.contrast import SupervisedContrast
from rescom_mm.models.losses.mining import largest, similarities
from tests.reference import class_weights, contrastive_loss


def unit_rows(generator, *shape):
    rows = generator.normal(size=shape)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def filled_queue(golden):
    case = golden['rescom']
    queue = ClassBalancedQueue(case['K'], len(case['cls_num']), 3)
    queue.keys.copy_(torch.tensor(case['queue_rows_class_major']))
    queue._written_P.zero_()
    return queue


@pytest.mark.stack
@pytest.mark.parametrize('options, key', [
    (dict(num_positives=1, num_negatives=3, beta=0.99), 'loss_con'),
    (dict(num_positives=2, num_negatives=4, beta=0.99), 'loss_con_full_queue'),
    (dict(beta=0.99), 'loss_con_full_queue'),
    (dict(num_positives=1, num_negatives=3), 'loss_con_no_reweight'),
])
def test_golden_loss(golden, options, key):
    case = golden['rescom']
    loss = SPMLoss(temperature=case['tau'], class_counts=case['cls_num'], **options)
    value = loss(torch.tensor(case['z']), torch.tensor(case['y']), filled_queue(golden))
    assert value.item() == pytest.approx(case[key], abs=1e-5)


def test_golden_class_weights(golden):
    case = golden['rescom']
    weights = effective_number_weights(case['cls_num'], case['beta'])
    np.testing.assert_allclose(weights, case['class_weight'], atol=1e-5)
    counts = [int(5000 * 0.01**(c / 9)) for c in range(10)]
    for beta, expected in golden['class_weight_cifar10_if100'].items():
        np.testing.assert_allclose(effective_number_weights(counts, float(beta)), expected,
                                   rtol=1e-5)


def test_class_weight_limits():
    counts = [700, 90, 9, 1]
    assert effective_number_weights(counts, 0).tolist() == [1, 1, 1, 1]
    inverse = np.mean(counts) / np.array(counts)
    np.testing.assert_allclose(effective_number_weights(counts, 1 - 1e-12), inverse, rtol=1e-8)
    np.testing.assert_allclose(effective_number_weights(counts, 0.97), class_weights(counts, 0.97),
                               rtol=1e-12)


@settings(max_examples=120)
@given(st.data())
def test_matches_slow_reference(data):
    """Random sizes: partly filled and empty queues, anchors with no positive, mining or none."""
    draw = data.draw
    classes, per_class, dim = (draw(st.integers(2, 6)), draw(st.integers(1, 4)),
                               draw(st.integers(2, 6)))
    images = draw(st.integers(1, 6))
    generator = np.random.default_rng(draw(st.integers(0, 2**31)))
    z = unit_rows(generator, 2 * images, dim)
    labels = np.tile(generator.integers(0, classes, images), 2)
    slots = classes * per_class
    queue = draw(st.sampled_from([
        FIFOQueue(slots, classes, dim), ClassBalancedQueue(per_class, classes, dim),
        ReversedQueue(slots, classes, dim,
                      class_counts=generator.integers(1, 500, classes).tolist())]))
    written = draw(st.sampled_from(['none', 'some', 'all']))
    n = dict(none=0, some=draw(st.integers(1, slots)), all=40 * slots)[written]
    queue.write(torch.tensor(unit_rows(generator, n, dim) if n else np.zeros((0, dim))).float(),
                torch.tensor(generator.integers(0, classes, n), dtype=torch.int32))
    options = dict(
        temperature=draw(st.sampled_from([0.07, 0.2, 1.0])),
        beta=draw(st.sampled_from([0.0, 0.9, 0.9999, 1 - 1e-9])),
        num_positives=draw(st.none() | st.integers(1, per_class)),
        num_negatives=draw(st.none() | st.integers(1, (classes - 1) * per_class)),
        in_batch_pairs=draw(st.booleans()),
        anchors=draw(st.sampled_from(['both', 'first'])))
    counts = generator.integers(1, 500, classes).tolist()

    expected, expected_grad = contrastive_loss(
        z, labels, queue.keys.double().numpy(), queue.labels.numpy(), queue.valid.numpy(),
        counts=counts, **options)
    z_tensor = torch.tensor(z, dtype=torch.float32, requires_grad=True)
    with torch.autocast('cpu', torch.bfloat16, enabled=draw(st.booleans())):
        value = SPMLoss(class_counts=counts, **options)(z_tensor, torch.tensor(labels), queue)
    value.backward()
    assert value.item() == pytest.approx(expected, rel=2e-5, abs=2e-6)
    scale = max(1.0, np.abs(expected_grad).max())
    np.testing.assert_allclose(z_tensor.grad.numpy() / scale, expected_grad / scale, atol=2e-5)


@pytest.mark.parametrize('anchors', ['both', 'first'])
def test_mining_everything_is_the_unmined_loss(anchors):
    generator = np.random.default_rng(3)
    queue = ClassBalancedQueue(3, 5, 8)
    queue.write(torch.tensor(unit_rows(generator, 200, 8)).float(),
                torch.tensor(generator.integers(0, 5, 200), dtype=torch.int32))
    z, labels = torch.tensor(unit_rows(generator, 12, 8)).float(), torch.arange(6).repeat(2) % 5
    mined = SPMLoss(num_positives=3, num_negatives=12, anchors=anchors)(z, labels, queue)
    plain = SPMLoss(anchors=anchors)(z, labels, queue)
    torch.testing.assert_close(mined, plain, rtol=1e-6, atol=1e-6)


def test_autocast_computes_in_float32():
    generator = np.random.default_rng(0)
    queue = ClassBalancedQueue(2, 4, 16)
    queue.write(torch.tensor(unit_rows(generator, 50, 16)).float(),
                torch.tensor(generator.integers(0, 4, 50), dtype=torch.int32))
    z = torch.tensor(unit_rows(generator, 8, 16)).bfloat16()
    labels = torch.tensor([0, 1, 2, 3] * 2)
    loss = SPMLoss(1, 4, temperature=0.07, beta=0.99, class_counts=[9, 8, 4, 1])
    with torch.autocast('cpu', dtype=torch.bfloat16):
        half = loss(z, labels, queue)
    assert half.dtype == torch.float32
    assert torch.equal(half, loss(z.float(), labels, queue))


def test_anchor_without_positive_contributes_zero_and_counts():
    z = torch.nn.functional.normalize(torch.randn(4, 8), dim=1).requires_grad_()
    labels = torch.tensor([0, 1, 2, 3])  # four rows, no two alike, as if views differed in label
    loss = SPMLoss()(z, labels, ClassBalancedQueue(2, 4, 8))
    loss.backward()
    assert loss.item() == 0 and torch.equal(z.grad, torch.zeros_like(z))
    alone = SPMLoss(in_batch_pairs=False)(z, labels, ClassBalancedQueue(2, 4, 8))
    assert alone.item() == 0  # an empty queue and nothing else: no candidate at all
    labels = torch.tensor([0, 0, 2, 3])
    pair = SPMLoss()(z[:2], labels[:2])
    four = SPMLoss()(z, labels)
    # rows 2 and 3 are negatives of the pair but anchors of loss 0: the mean is over four
    negatives = torch.logsumexp((z[:2] @ z.T / 0.1).masked_fill(torch.eye(2, 4) > 0, -torch.inf), 1)
    expected = (negatives - (z[0] @ z[1]) / 0.1).sum() / 4
    torch.testing.assert_close(four, expected)
    assert pair != four


@pytest.mark.parametrize('options, word', [
    (dict(temperature=0), 'temperature'), (dict(temperature=-1.0), 'temperature'),
    (dict(temperature=float('nan')), 'temperature'),
    (dict(temperature=float('inf')), 'temperature'), (dict(num_positives=1.5), 'num_positives'),
    (dict(beta=1.0), 'beta'),
    (dict(beta=-0.1), 'beta'), (dict(num_positives=0), 'num_positives'),
    (dict(num_negatives=-3), 'num_negatives'), (dict(anchors='second'), 'anchors'),
    (dict(beta=0.9, class_counts=[3, 0]), 'class_counts'),
])
def test_bad_options(options, word):
    with pytest.raises((TypeError, ValueError), match=word):
        SPMLoss(**options)


def test_missing_counts_name_the_line_to_add():
    with pytest.raises(RuntimeError, match='ClassCountsHook'):
        SPMLoss(beta=0.9)(torch.eye(4), torch.tensor([0, 1, 0, 1]))


@settings(max_examples=150)
@given(st.integers(0, 2**32 - 1), st.integers(1, 80), st.integers(1, 30), st.integers(1, 9),
       st.sampled_from([0, 0.2, 0.9]))
def test_largest_equal_a_sort(seed, slots, k, each, absent):
    """With a pivot and without, with ties, negative values and slots that hold no key."""
    generator = torch.Generator().manual_seed(seed)
    k, each = min(k, slots), min(each, slots)
    sim_AQ = torch.randint(-9, 10, (5, slots), generator=generator) / 8
    sim_AQ[torch.rand(sim_AQ.shape, generator=generator) < absent] = mining.ABSENT
    sim_AR = F.pad(sim_AQ, (2, 1), value=torch.nan) if each > 1 else sim_AQ
    values_Ak, slots_Ak = largest(sim_AR.clone(), k, each)
    expected = sim_AQ.sort(1, descending=True).values[:, :k]
    assert torch.equal(values_Ak.sort(1, descending=True).values, expected)
    assert torch.equal(sim_AQ.gather(1, slots_Ak), values_Ak)
    assert all(len(set(row)) == k for row in slots_Ak.tolist())


@pytest.mark.parametrize('value', [torch.nan, -torch.inf, torch.inf])
@pytest.mark.parametrize('each', [1, 6])
def test_largest_where_nothing_is_finite(each, value):
    """The slots are some of the queue's."""
    slots_Ak = largest(torch.full((2, 63), value), 4, each)[1]
    assert ((slots_Ak >= 0) & (slots_Ak < 60 + 3 * (each == 1))).all()


@pytest.mark.parametrize('options', [{}, dict(num_positives=1), dict(num_negatives=5),
                                     dict(num_positives=1, num_negatives=5)])
def test_no_anchor(options):
    """A last batch may have a single row, and that be no anchor."""
    queue = ClassBalancedQueue(2, 30, 6)
    queue.write(torch.randn(60, 6), queue.labels)
    z_MD = torch.randn(1, 6, requires_grad=True)
    loss = SPMLoss(anchors='first', **options)(z_MD, torch.tensor([3]), queue)
    loss.backward()
    assert loss == 0 and torch.equal(z_MD.grad, torch.zeros(1, 6))
    assert SPMLoss(**options)(z_MD[:0], torch.tensor([], dtype=torch.int64), queue) == 0


@pytest.mark.slow
@pytest.mark.parametrize('queue', [ClassBalancedQueue(2, 160, 6), FIFOQueue(320, 160, 6)])
@pytest.mark.parametrize('options', [{}, dict(num_positives=1, num_negatives=20)])
@pytest.mark.parametrize('in_batch_pairs', [True, False])
def test_compiled_loss_and_gradient(queue, options, in_batch_pairs):
    """A compiler may fuse the gradient's operations, which the loss would not show."""
    generator = torch.Generator().manual_seed(0)
    queue.write(F.normalize(torch.randn(320, 6, generator=generator)),
                torch.arange(160, dtype=torch.int32).repeat(2))
    labels_M = torch.randint(0, 160, (8,), generator=generator).repeat(2)
    z_MD = F.normalize(torch.randn(16, 6, generator=generator)).requires_grad_()
    loss = SPMLoss(temperature=0.1, in_batch_pairs=in_batch_pairs, **options)
    results = []
    for step in (loss, torch.compile(loss)):
        z_MD.grad = None
        value = step(z_MD, labels_M, queue)
        value.backward()
        results.append((value, z_MD.grad))
    torch.testing.assert_close(*results, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('anchors', [5, 128])
@pytest.mark.parametrize('slots', [1, 9, 2048, 2050, 4111, 16284])
def test_similarities_in_blocks(slots, anchors):
    """A prime number of slots, too; what was not written is no key."""
    generator = torch.Generator().manual_seed(slots)
    queue = ClassBalancedQueue(1, slots, 6)
    some = torch.randperm(slots, generator=generator)[:slots // 2 + 1].int()
    queue.write(torch.randn(len(some), 6, generator=generator), some)
    z_AD = torch.randn(anchors, 6, generator=generator)
    expected = (z_AD @ queue.keys.T).masked_fill(~queue.valid, mining.ABSENT)
    torch.testing.assert_close(similarities(z_AD, queue), expected)
    torch.testing.assert_close(similarities(z_AD, queue, room=True)[:, 2:-1], expected)
    blocks = mining._blocks(slots)
    assert slots % blocks == 0 and (blocks > 1) == (slots in (2048, 2050, 16284))


def test_mining_of_a_large_queue():
    """So large that the search for the hardest negatives has a pivot; against the reference."""
    generator = np.random.default_rng(0)
    C, K, D = 160, 5, 6
    keys, labels = unit_rows(generator, C * K, D), generator.permutation(np.repeat(np.arange(C), K))
    queue = ClassBalancedQueue(K, C, D)
    queue.write(torch.tensor(keys).float(), torch.tensor(labels).int())
    z, y = unit_rows(generator, 6, D), np.tile(generator.integers(0, C, 3), 2)
    options = dict(num_positives=2, num_negatives=20, temperature=0.2)
    expected, expected_grad = contrastive_loss(
        z, y, queue.keys.double().numpy(), queue.labels.numpy(), queue.valid.numpy(), **options)
    z_MD = torch.tensor(z, dtype=torch.float32, requires_grad=True)
    loss = SPMLoss(**options)(z_MD, torch.tensor(y), queue)
    loss.backward()
    assert loss.item() == pytest.approx(expected, rel=2e-5)
    np.testing.assert_allclose(z_MD.grad, expected_grad, atol=2e-5)


@pytest.mark.parametrize('per_class', [1, 5])  # with a pivot for the search: in groups of 3, 16
@pytest.mark.parametrize('bits', [0x7fc00000, -0x400000])  # of both signs: a processor makes either
def test_nan_comes_through(per_class, bits):
    """Nothing that is not a number may be taken for a key that is not there."""
    generator = torch.Generator().manual_seed(0)
    nan = torch.tensor(bits, dtype=torch.int32).view(torch.float32)
    queue = ClassBalancedQueue(per_class, 160, 6)
    queue.write(torch.randn(len(queue), 6, generator=generator), queue.labels)
    z_MD = torch.randn(4, 6, generator=generator)
    for in_batch_pairs in (True, False):
        loss = SPMLoss(1, 20, in_batch_pairs=in_batch_pairs)
        assert loss(z_MD, torch.tensor([7, 8] * 2), queue).isfinite()
        bad_MD = z_MD.clone()
        bad_MD[2, 3] = nan
        assert loss(bad_MD, torch.tensor([7, 8] * 2), queue).isnan()


@pytest.mark.parametrize('queue', [FIFOQueue(5, 3, 6), ClassBalancedQueue(5, 1, 6)])
def test_nan_comes_through_where_all_keys_are_positive(queue):
    queue.write(torch.ones(5, 6), torch.zeros(5, dtype=torch.int32))
    loss = SPMLoss(1, None, in_batch_pairs=False)
    z_MD, labels_M = torch.ones(2, 6), torch.zeros(2, dtype=torch.int64)
    assert loss(z_MD, labels_M, queue).isfinite()
    z_MD[1] = torch.nan
    assert loss(z_MD, labels_M, queue).isnan()


@pytest.mark.parametrize('classes', [4, 160])
def test_label_that_the_queue_lacks_is_an_error(classes):
    """And not another anchor's similarities."""
    queue = ClassBalancedQueue(5, classes, 6, init='random')
    z_MD = torch.nn.functional.normalize(torch.ones(4, 6), dim=1)
    for labels in ([classes, 1], [1, classes]):
        with pytest.raises(RuntimeError, match='out of bounds'):
            SPMLoss(1, 15)(z_MD, torch.tensor(labels * 2), queue)


def test_float64_is_computed_in_float32():
    generator = torch.Generator().manual_seed(0)
    queue = ClassBalancedQueue(3, 5, 6, init='random')
    z_MD = torch.randn(4, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    loss = SPMLoss(1, 7)(z_MD, torch.tensor([1, 2] * 2), queue)
    loss.backward()
    assert loss.dtype == torch.float32 and z_MD.grad.dtype == torch.float64
    assert torch.equal(loss, SPMLoss(1, 7)(z_MD.float(), torch.tensor([1, 2] * 2), queue))


@pytest.mark.parametrize('classes, per_class, k', [(1000, 4, 500), (8142, 2, 500), (100, 40, 7)])
def test_the_pivot_is_a_little_below_what_is_mined(classes, per_class, k):
    """Where the similarities are spread as those of random vectors."""
    generator = torch.Generator().manual_seed(0)
    queue = ClassBalancedQueue(per_class, classes, 32)
    queue.write(F.normalize(torch.randn(len(queue), 32, generator=generator)), queue.labels)
    z_AD = F.normalize(torch.randn(64, 32, generator=generator))
    sim_AR = similarities(z_AD, queue, room=True)
    largest(sim_AR, k, mining.group_size(z_AD, queue, k))
    pivot_A1, sim_AQ = sim_AR[:, :1], sim_AR[:, 2:-1]
    assert torch.equal(sim_AR[:, :2], pivot_A1.expand(-1, 2))
    assert torch.equal(sim_AR[:, -1:], pivot_A1)
    above_A, looked_for = (sim_AQ > pivot_A1).sum(1), max(k, len(queue) // 64 + 1)
    assert ((above_A >= looked_for) & (above_A <= 2.5 * looked_for)).float().mean() > 0.75
    assert mining.group_size(z_AD.to('meta'), queue, k) == mining.group_size(z_AD, queue, None) == 1


@pytest.mark.parametrize('queue', [ClassBalancedQueue(2, 160, 6), FIFOQueue(320, 160, 6)])
@pytest.mark.parametrize('mining', [(1, 20), (None, 20), (1, None), (None, None)])
def test_nothing_is_read_back_from_a_device(queue, mining):
    """A meta tensor has no values: reading one raises; and it goes the way of accelerators."""
    z_MD = torch.zeros(8, 6, device='meta', requires_grad=True)
    labels_M = torch.zeros(8, dtype=torch.int64, device='meta')
    queue = copy.deepcopy(queue).to('meta')
    SupervisedContrast.apply(z_MD, labels_M, torch.ones(8, device='meta'), queue, mining, 0.2,
                             True).backward()
    queue.stage(z_MD[None], labels_M)
    queue.commit()
    assert z_MD.grad.shape == z_MD.shape and z_MD.grad.device.type == 'meta'
