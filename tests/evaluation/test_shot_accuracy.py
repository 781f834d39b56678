import numpy as np
import pytest
import torch

from rescom_mm.evaluation import ShotAccuracy


def evaluate(metric, labels, guesses):
    samples = [dict(gt_label=torch.tensor([y]), pred_label=torch.tensor([p]))
               for y, p in zip(labels, guesses)]
    metric.process(None, samples)
    return metric.evaluate(len(labels))


def test_groups_are_means_over_classes():
    counts = [500, 101, 100, 20, 19, 1]
    labels = [0] * 8 + [1] * 2 + [2] * 4 + [3] * 1 + [4] * 5 + [5] * 5
    guesses = [0] * 6 + [1] * 2 + [1, 0] + [2, 2, 2, 0] + [3] + [4, 0, 0, 0, 0] + [5, 5, 5, 5, 0]
    metric = ShotAccuracy(per_class=True, class_counts=counts)
    result = evaluate(metric, labels, guesses)
    assert result['shot/all'] == pytest.approx(100 * np.mean(np.equal(labels, guesses)))
    assert result['shot/many'] == pytest.approx((75 + 50) / 2)  # 500 and 101
    assert result['shot/medium'] == pytest.approx((75 + 100) / 2)  # 100 and 20
    assert result['shot/few'] == pytest.approx((20 + 80) / 2)  # 19 and 1
    assert result['shot/per_class'] == pytest.approx([75, 50, 75, 100, 20, 80])


def test_thresholds_and_missing_classes():
    metric = ShotAccuracy(thresholds=(2, 3), class_counts=[9, 3, 2, 1])
    result = evaluate(metric, [0, 1, 1], [0, 1, 0])
    assert result == {'shot/all': pytest.approx(200 / 3), 'shot/many': 100, 'shot/medium': 50}
    assert metric.per_class_accuracy == [100, 50, None, None]


def test_without_counts_gives_all_and_says_why(monkeypatch):
    said = []
    monkeypatch.setattr('rescom_mm.evaluation.metrics.shot_accuracy.print_log',
                        lambda message, **kwargs: said.append(message))
    metric = ShotAccuracy()
    for _ in range(2):
        metric.results.clear()
        assert evaluate(metric, [0, 1], [0, 0]) == {'shot/all': 50}
    assert len(said) == 1 and 'ClassCountsHook' in said[0]  # once, not every epoch


def test_scores_are_used_where_there_are_some():
    metric = ShotAccuracy(class_counts=[5, 5])
    metric.process(None, [dict(gt_label=torch.tensor([1]), pred_score=torch.tensor([0.2, 0.8]))])
    assert metric.evaluate(1)['shot/all'] == 100


def test_bad_input():
    with pytest.raises(ValueError, match='thresholds'):
        ShotAccuracy(thresholds=(100, 20))
    with pytest.raises(ValueError, match='2 labels'):
        ShotAccuracy().process(None, [dict(gt_label=torch.tensor([0, 1]),
                                           pred_label=torch.tensor([0]))])
