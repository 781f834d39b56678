"""Class priors: reading them, estimating them, and what adjusting to them brings."""

import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.linear_model import LogisticRegression

from rescom_mm.apis.production.priors import RATIOS, adjusted_accuracy, shift_table, shifted_indices
from rescom_mm.datasets import long_tailed_sizes
from rescom_mm.utils.prior import estimate_prior, read_prior
from tests.runs import ROOT


def slow_estimate(logits, trained, steps):
    """Saerens et al., eq. 2.12, number by number."""
    prior = list(trained)
    for _ in range(steps):
        total = [0.0] * len(prior)
        for row in logits:
            odds = [np.exp(s) / sum(np.exp(row)) * new / old
                    for s, new, old in zip(row, prior, trained)]
            for c, value in enumerate(odds):
                total[c] += value / sum(odds)
        prior = [value / len(logits) for value in total]
    return prior


def gaussians(sizes, generator, dim=4):
    """Overlapping classes: points, labels, and the log densities of all classes there."""
    means = 1.5 * np.random.default_rng(5).normal(size=(len(sizes), dim))
    labels = np.repeat(np.arange(len(sizes)), sizes)
    points = means[labels] + generator.normal(size=(len(labels), dim))
    return points, labels, np.stack(
        [multivariate_normal(mean, np.eye(dim)).logpdf(points) for mean in means], axis=1)


def test_estimate_is_the_reference():
    generator = np.random.default_rng(0)
    logits = generator.normal(scale=2, size=(40, 5))
    trained = generator.dirichlet(np.ones(5) * 3)
    for steps in (1, 7):
        found = estimate_prior(logits, trained, tolerance=0, max_iterations=steps)
        np.testing.assert_allclose(found, slow_estimate(logits, trained, steps), rtol=1e-10)
    assert found.sum() == pytest.approx(1)
    # a constant in a row of logits means nothing; far numbers do not overflow
    np.testing.assert_allclose(estimate_prior(logits + 1e4, trained),
                               estimate_prior(logits, trained), atol=1e-9)


def test_estimate_finds_the_shares_of_certain_predictions():
    logits = 50 * np.eye(3)[[0, 0, 0, 2]]
    uniform = np.full(3, 1 / 3)
    np.testing.assert_allclose(estimate_prior(logits, uniform), [0.75, 0, 0.25], atol=1e-6)
    np.testing.assert_allclose(estimate_prior(logits, uniform, pseudo_count=1),
                               [4 / 7, 1 / 7, 2 / 7], atol=1e-6)


@pytest.fixture(scope='module')
def balanced():
    """A classifier learned on ten balanced classes: its test logits, labels, log densities."""
    points, labels, _ = gaussians([1500] * 10, np.random.default_rng(1))
    model = LogisticRegression(C=10).fit(points, labels)
    points, labels, log_density = gaussians([2000] * 10, np.random.default_rng(2))
    return model.decision_function(points), labels, log_density


@pytest.mark.parametrize('reverse', [False, True])
@pytest.mark.parametrize('ratio, gain', zip(RATIOS, [0.4, 2, 4, 7, 10]))
def test_adjusting_is_bayes_optimal_on_shifted_test_sets(balanced, ratio, gain, reverse):
    kept = shifted_indices(balanced[1], range(10, 0, -1), ratio, reverse)
    logits, labels, log_density = (values[kept] for values in balanced)
    sizes = np.bincount(labels)
    assert sizes.max() / sizes.min() == pytest.approx(ratio)
    assert (sizes.argmax(), sizes.argmin()) == ((9, 0) if reverse else (0, 9))
    prior, uniform = sizes / sizes.sum(), np.full(10, 1 / 10)
    best = 100 * ((log_density + np.log(prior)).argmax(1) == labels).mean()
    raw = adjusted_accuracy(logits, labels, uniform, uniform)
    known = adjusted_accuracy(logits, labels, prior, uniform)
    estimate = estimate_prior(logits, uniform)
    estimated = adjusted_accuracy(logits, labels, estimate, uniform)
    assert min(known, estimated) > raw + gain
    assert abs(known - best) < 0.3 and abs(estimated - best) < 0.4
    assert np.abs(estimate - prior).sum() < 0.06
    # with the true densities there is nothing between them
    assert adjusted_accuracy(log_density, labels, prior, uniform) == best


def test_logits_of_a_long_tailed_training():
    """After plain cross-entropy the training's prior has to go first."""
    sizes = [2000, 800, 300, 100]
    points, labels, _ = gaussians(sizes, np.random.default_rng(3))
    logits_of = LogisticRegression(C=10).fit(points, labels).decision_function
    points, labels, log_density = gaussians([1500] * 4, np.random.default_rng(4))
    trained, uniform = np.array(sizes) / sum(sizes), np.full(4, 1 / 4)
    best = 100 * (log_density.argmax(1) == labels).mean()
    logits = logits_of(points)
    raw, right = (adjusted_accuracy(logits, labels, uniform, p) for p in (uniform, trained))
    assert right > best - 1 and right > raw + 1
    assert np.abs(estimate_prior(logits, trained) - uniform).max() < 0.03


def test_table():
    labels = np.repeat(np.arange(5), 100)
    logits = 3 * np.eye(5)[labels] + np.random.default_rng(0).normal(scale=2, size=(500, 5))
    lines = shift_table(logits, labels, [50, 40, 30, 20, 10], np.full(5, 0.2))
    assert len(lines) == 2 + 2 * len(RATIOS)
    cells = [line.strip('| ').split(' | ') for line in lines[2:]]
    assert cells[0][:2] == ['forward 2', str(sum(long_tailed_sizes(100, 5, 2)))]
    assert cells[-1][0] == 'backward 50'
    for _, images, raw, known, _ in (cells[4], cells[-1]):
        assert float(known) > float(raw) and int(images) < 200


def test_table_of_few_images():
    labels = np.repeat(np.arange(3), 20)
    logits = np.eye(3)[labels]
    lines = shift_table(logits, labels, [3, 2, 1], np.full(3, 1 / 3))
    assert '| forward 50 | too few | | | |' in lines and '| backward 25 | too few | | | |' in lines
    assert lines[2].startswith('| forward 2 | 44 | 100.0 |')
    with pytest.raises(ValueError, match=r'every class; 1 have none \(the first is class 3\)'):
        shift_table(np.eye(4)[labels], labels, [4, 3, 2, 1], np.full(4, 1 / 4))


def test_read_prior(tmp_path):
    file = tmp_path / 'prior.txt'
    file.write_text('3\n1e0\n')
    for prior in (str(file), [3, 1], (0.75, 0.25), np.array([30, 10])):
        np.testing.assert_allclose(read_prior(prior, 2, None, 'p'), [0.75, 0.25])
    np.testing.assert_allclose(read_prior('uniform', 4, None, 'p'), [0.25] * 4)
    np.testing.assert_allclose(read_prior('train', 2, [1, 4], 'p'), [0.2, 0.8])


@pytest.mark.parametrize('prior, message', [
    ('train', "p='train' needs the class counts"),
    ('none.txt', "p: none.txt is no file; give 'uniform'"),
    ([1, 2, 3], 'p has 3 numbers, there are 2 classes'),
    ([1, 0], 'p is 0.0 for class 1; it must be positive'),
    ([float('nan'), 1], 'p is nan for class 0'),
    ([1, float('inf')], 'p is inf for class 1'),
])
def test_bad_priors(prior, message):
    with pytest.raises(ValueError, match=message):
        read_prior(prior, 2, None, 'p')


def test_bad_file(tmp_path):
    (tmp_path / 'p.txt').write_text('0.5 half')
    with pytest.raises(ValueError, match='must hold one number for each class'):
        read_prior(str(tmp_path / 'p.txt'), 2, None, 'p')


def test_import_stays_light():
    """SciPy takes longer to import than all of this package, and few need it."""
    code = ("import sys; import rescom_mm; before = set(sys.modules); "
            "print('rescom_mm.utils.prior' in before, 'scipy.special' in before)")
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', code], cwd=ROOT, check=True,
                          capture_output=True, text=True)
    assert done.stdout.split()[-2:] == ['True', 'False']
