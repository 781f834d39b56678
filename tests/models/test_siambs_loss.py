import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rescom_mm.models import SiamBSLoss


def reference(scores, labels, counts):
    """Eq. 6 row by row in float64."""
    losses = []
    for row, label in zip(np.asarray(scores, dtype=np.float64), labels):
        mass = [n * np.exp(s) for n, s in zip(counts, row)]
        losses.append(-np.log(mass[label] / sum(mass)))
    return float(np.mean(losses))


def test_golden(golden):
    case = golden['siambs']
    loss = SiamBSLoss(class_counts=case['cls_num'])
    value = loss(torch.tensor(case['logits']), torch.tensor(case['y']))
    assert value.item() == pytest.approx(case['loss'], abs=1e-5)


@settings(max_examples=40)
@given(st.data())
def test_loss_and_gradient(data):
    """Against the reference and its central differences."""
    rows, classes = data.draw(st.integers(1, 6)), data.draw(st.integers(2, 6))
    generator = np.random.default_rng(data.draw(st.integers(0, 2**31)))
    scores = generator.normal(scale=3, size=(rows, classes))
    labels = generator.integers(0, classes, rows)
    counts = generator.integers(1, 1000, classes).tolist()
    tensor = torch.tensor(scores, dtype=torch.float32, requires_grad=True)
    with torch.autocast('cpu', torch.bfloat16, enabled=data.draw(st.booleans())):
        value = SiamBSLoss(class_counts=counts)(tensor, torch.tensor(labels))
    value.backward()
    assert value.item() == pytest.approx(reference(scores, labels, counts), rel=1e-5, abs=1e-6)
    for i in range(rows):
        for j in range(classes):
            delta = np.zeros_like(scores)
            delta[i, j] = 1e-5
            slope = (reference(scores + delta, labels, counts)
                     - reference(scores - delta, labels, counts)) / 2e-5
            assert tensor.grad[i, j].item() == pytest.approx(slope, abs=2e-6)


def test_equal_counts_are_cross_entropy():
    scores, labels = torch.randn(5, 3), torch.tensor([0, 1, 2, 1, 0])
    loss = SiamBSLoss(loss_weight=2.0, class_counts=[4, 4, 4])
    torch.testing.assert_close(loss(scores, labels),
                               2 * torch.nn.functional.cross_entropy(scores, labels))
    torch.testing.assert_close(
        loss(scores, labels, reduction_override='none'),
        2 * torch.nn.functional.cross_entropy(scores, labels, reduction='none'))
    torch.testing.assert_close(loss(scores, labels, avg_factor=10), loss(scores, labels) / 2)
    weight = torch.tensor([1.0, 0, 0, 0, 0])
    torch.testing.assert_close(loss(scores, labels, weight, reduction_override='sum'),
                               loss(scores[:1], labels[:1]))


def test_float32_under_autocast():
    scores, labels = torch.randn(5, 3).bfloat16(), torch.tensor([0, 1, 2, 1, 0])
    loss = SiamBSLoss(class_counts=[9, 3, 1])
    with torch.autocast('cpu', dtype=torch.bfloat16):
        half = loss(scores, labels)
    assert half.dtype == torch.float32 and torch.equal(half, loss(scores.float(), labels))


def test_bad_input():
    with pytest.raises(RuntimeError, match='ClassCountsHook'):
        SiamBSLoss()(torch.randn(2, 3), torch.tensor([0, 1]))
    with pytest.raises(ValueError, match='num_classes'):
        SiamBSLoss(class_counts=[1, 2])(torch.randn(2, 3), torch.tensor([0, 1]))
    with pytest.raises(TypeError, match='Did you mean `loss_weight`'):
        SiamBSLoss(los_weight=2)
