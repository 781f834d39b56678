import numpy as np
import pytest
import torch

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


def test_loss_and_gradient():
    scores = torch.randn(6, 4, requires_grad=True)
    labels, counts = torch.tensor([0, 1, 2, 3, 3, 0]), [500, 40, 7, 1]
    SiamBSLoss(class_counts=counts)(scores, labels).backward()
    assert SiamBSLoss(class_counts=counts)(scores, labels).item() == pytest.approx(
        reference(scores.detach(), labels.tolist(), counts), rel=1e-5)
    for i, j in [(0, 0), (3, 1), (5, 3)]:
        delta = np.zeros((6, 4))
        delta[i, j] = 1e-5
        up = reference(scores.detach().double() + delta, labels.tolist(), counts)
        down = reference(scores.detach().double() - delta, labels.tolist(), counts)
        assert scores.grad[i, j].item() == pytest.approx((up - down) / 2e-5, abs=1e-6)


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
