"""CalibrationError against a slow reference, at the edges of its bins, and on real samples."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmpretrain.models import LinearClsHead
from mmpretrain.structures import DataSample

from rescom_mm.evaluation import CalibrationError


def reference(confidences, right, bins=15):
    """ECE and MCE in %, bin by bin and sample by sample, intervals (a, b]."""
    expected, largest = 0.0, 0.0
    for b in range(bins):
        low, high = np.float32(b / bins), np.float32((b + 1) / bins)
        members = [i for i, c in enumerate(confidences)
                   if low < c <= high or (b == 0 and c == 0)]
        if members:
            accuracy = sum(bool(right[i]) for i in members) / len(members)
            confidence = sum(float(confidences[i]) for i in members) / len(members)
            expected += len(members) / len(confidences) * abs(accuracy - confidence)
            largest = max(largest, abs(accuracy - confidence))
    return 100 * expected, 100 * largest


def evaluate(confidences, right, **options):
    """Samples of two classes: class 1 gets the confidence, class 0 a smaller score."""
    metric = CalibrationError(**options)
    metric.process(None, [
        dict(gt_label=torch.tensor([1 if r else 0]), pred_score=torch.tensor([-1.0, float(c)]))
        for c, r in zip(confidences, right)])
    result = metric.evaluate(len(confidences))
    assert set(result) == {'calibration/ece', 'calibration/mce'}
    return result['calibration/ece'], result['calibration/mce']


@given(st.lists(st.tuples(st.one_of(st.integers(0, 15).map(lambda k: k / 15), st.floats(0, 1)),
                          st.booleans()), min_size=1, max_size=60), st.integers(1, 20))
def test_matches_slow_reference(pairs, bins):
    confidences = [np.float32(c) for c, _ in pairs]
    right = [r for _, r in pairs]
    assert evaluate(confidences, right, bins=bins) == pytest.approx(
        reference(confidences, right, bins), abs=1e-4)


def test_by_hand():
    # (0, 1/2] holds 0.25 (right) and 0.5 (wrong); (1/2, 1] holds 0.75 and 1.0, both right
    ece, mce = evaluate([0.25, 0.5, 0.75, 1.0], [True, False, True, True], bins=2)
    assert ece == pytest.approx(100 * (0.5 * abs(0.5 - 0.375) + 0.5 * abs(1 - 0.875)))
    assert mce == pytest.approx(12.5)


@pytest.mark.parametrize('edge', [k / 15 for k in range(1, 15)])
def test_an_edge_belongs_to_the_bin_on_its_left(edge):
    """With a neighbour just below the gaps cancel in one bin, and don't in two."""
    below, above = edge - 0.02, edge + 0.02
    pair = [(edge + below) / 2, (edge + above) / 2]
    one = evaluate([below, edge], [True, False])[0]
    two = evaluate([edge, above], [True, False])[0]
    assert one == pytest.approx(100 * abs(0.5 - pair[0]), abs=1e-4)  # one bin
    assert two == pytest.approx(50 * (1 - edge + above), abs=1e-4)  # a bin each


def test_confidence_of_zero_and_one():
    assert evaluate([0.0], [False]) == (0, 0) and evaluate([0.0], [True]) == (100, 100)
    assert evaluate([1.0], [True]) == (0, 0) and evaluate([1.0], [False]) == (100, 100)
    # both ends at once, each in its own bin
    assert evaluate([0.0, 1.0, 1.0], [False, True, False]) == pytest.approx((100 / 3, 50))


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_samples_of_a_head(dtype):
    """What mmpretrain's head predicts from raw logits, as the evaluator hands it over."""
    torch.manual_seed(0)
    head = LinearClsHead(num_classes=7, in_channels=5)
    feats = (torch.randn(40, 5) * 4,)
    samples = [DataSample().set_gt_label(i % 7) for i in range(40)]
    predicted = head.predict(feats, samples)
    for sample in predicted:
        sample.pred_score = sample.pred_score.to(dtype)
    metric = CalibrationError()
    for start in (0, 25):
        metric.process(None, [s.to_dict() for s in predicted[start:start + 25]])
    probabilities = head(feats).softmax(1).detach().to(dtype).float().numpy()
    right = probabilities.argmax(1) == np.arange(40) % 7
    result = metric.evaluate(40)
    assert (result['calibration/ece'], result['calibration/mce']) == pytest.approx(
        reference(probabilities.max(1), right), abs=1e-4)


def test_bad_input():
    label = torch.tensor([0])
    for bins in (0, -1):
        with pytest.raises(ValueError, match='bins must be a positive integer'):
            CalibrationError(bins=bins)
    for bins in (1.5, None):
        with pytest.raises(TypeError, match='CalibrationError: bins must be an integer, got'):
            CalibrationError(bins=bins)
    with pytest.raises(ValueError, match='no pred_score'):
        CalibrationError().process(None, [dict(gt_label=label, pred_label=label)])
    with pytest.raises(ValueError, match='2 labels'):
        CalibrationError().process(None, [dict(gt_label=torch.tensor([0, 1]),
                                               pred_score=torch.rand(3))])
    for scores in (torch.tensor([3.0, -2.0]), torch.tensor([float('nan'), 0.1])):
        metric = CalibrationError()
        metric.process(None, [dict(gt_label=label, pred_score=scores)])
        with pytest.raises(ValueError, match='no probability'):
            metric.evaluate(1)
