"""Both policies against Pillow, op by op, and against counts of what they draw."""

import random

import numpy as np
import pytest
from mmpretrain.registry import TRANSFORMS
from PIL import Image
from scipy import stats
from torchvision.transforms import AutoAugment, AutoAugmentPolicy

from tests.datasets.transforms import pillow_reference as reference

IMAGES = reference.images()
# torchvision holds a copy of the published table of its own
PUBLISHED = AutoAugment(AutoAugmentPolicy.CIFAR10).policies
SIGNED = {'Color', 'Contrast', 'Brightness', 'Sharpness', 'ShearY', 'TranslateX', 'TranslateY'}
RAND_AUGMENT = ['AutoContrast', 'Equalize', 'Invert', 'Rotate', 'Posterize', 'Solarize',
                'SolarizeAdd', 'Color', 'Contrast', 'Brightness', 'Sharpness', 'ShearX', 'ShearY',
                'TranslateX', 'TranslateY']


def auto_augment(channel_order='rgb'):
    return TRANSFORMS.build(dict(type='AutoAugmentCIFAR10', channel_order=channel_order))


def rand_augment(channel_order='bgr', **options):
    return TRANSFORMS.build(dict(type='RandAugmentNonIncreasing', channel_order=channel_order,
                                 **options))


def apply(transform, image, channel_order):
    """Of an RGB image that the transform is given in its channel order; RGB again."""
    given = image if channel_order == 'rgb' else np.ascontiguousarray(image[..., ::-1])
    before = given.copy()
    out = transform(dict(img=given))['img']
    assert out.dtype == np.uint8 and out.shape == image.shape
    assert np.array_equal(given, before)  # a data set may hold its images in memory
    return out if channel_order == 'rgb' else out[..., ::-1]


def as_set(found):
    return {np.ascontiguousarray(image).tobytes() for image in found}


@pytest.mark.stack
@pytest.mark.parametrize('channel_order', ['rgb', 'bgr'])
@pytest.mark.parametrize('index', range(25))
def test_auto_augment_ops_are_pillows(index, channel_order):
    sub_policy = auto_augment(channel_order).transforms[index].transforms
    assert len(sub_policy) == 2
    for op, (name, prob, level) in zip(sub_policy, PUBLISHED[index]):
        assert op.prob == prob
        op.prob = 1.
        signs = (1, -1) if name in SIGNED else (1,)
        if name in SIGNED | {'Rotate'}:
            assert op.random_negative_prob == (0.5 if name in SIGNED else 0)
        for image in IMAGES:
            found = []
            for sign in signs:
                if name in SIGNED:
                    op.random_negative_prob = float(sign < 0)
                found.append(apply(op, image, channel_order))
            wanted = [np.asarray(reference.cifar10(name, level, sign, Image.fromarray(image)))
                      for sign in signs]
            assert as_set(found) == as_set(wanted), (name, level, image.shape)


@pytest.mark.stack
@pytest.mark.parametrize('channel_order', ['rgb', 'bgr'])
@pytest.mark.parametrize('index, name', enumerate(RAND_AUGMENT))
def test_rand_augment_ops_are_pillows(index, name, channel_order):
    np.random.seed(0)
    op = rand_augment(channel_order).transforms[index]
    assert op.prob == 0.5
    op.prob, op.magnitude_std = 1., 0.
    for level in (10, 9.99, 9.7, 8.31, 2.4, 0):
        op.magnitude_level = level
        for image in IMAGES[:2] + IMAGES[4:] if level not in (10, 9.7) else IMAGES:
            wanted = as_set(np.asarray(result) for result in
                            reference.rand_augment(name, level, Image.fromarray(image)))
            draws = 40 if len(wanted) > 1 and image.size < 5000 else 3
            found = as_set(apply(op, image, channel_order) for _ in range(draws))
            assert found <= wanted, (level, image.shape)
            assert found == wanted or draws == 3


def test_rand_augment_has_these_ops_and_no_more():
    assert len(rand_augment().transforms) == len(RAND_AUGMENT) == 15


@pytest.mark.parametrize('index, at_10, at_5', [
    (3, 30, 15), (4, 4, 2), (5, 256, 128), (6, 110, 55), (7, 0.9, 0), (8, 0.9, 0), (9, 0.9, 0),
    (10, 0.9, 0), (11, 0.3, 0.15), (12, 0.3, 0.15), (13, 0.45, 0.225), (14, 0.45, 0.225)])
def test_level_maps(index, at_10, at_5):
    op = rand_augment(magnitude_std=0).transforms[index]
    assert op.random_magnitude() == pytest.approx(at_10)
    op.magnitude_level = 5
    assert op.random_magnitude() == pytest.approx(at_5, abs=1e-12)


def test_solarize_does_nothing_at_level_10():
    op = rand_augment(magnitude_std=0, prob=1.).transforms[5]
    assert np.array_equal(apply(op, IMAGES[0], 'bgr'), IMAGES[0])


def test_levels_are_clipped_normal():
    np.random.seed(0)
    levels = np.array([op.random_magnitude() for op in [rand_augment().transforms[3]]
                       for _ in range(4000)]) / 3
    assert levels.max() == 10
    assert stats.binomtest(int((levels == 10).sum()), 4000, 0.5).pvalue > 1e-3
    assert stats.kstest((10 - levels[levels < 10]) / 0.5, 'halfnorm').pvalue > 1e-3
    lower = rand_augment(magnitude_level=0).transforms[3]
    assert min(lower.random_magnitude() for _ in range(100)) == 0


def spy(op, key, log):
    """Notes in the log each time that the op decides, and whether it applies itself."""
    original = op.random_disable

    def random_disable():
        disabled = original()
        log.append((key, not disabled))
        return disabled

    op.random_disable = random_disable


def within(count, draws, prob):
    return abs(count - draws * prob) <= 4 * np.sqrt(draws * prob * (1 - prob)) + 1e-9


@pytest.mark.stack
def test_auto_augment_draws():
    np.random.seed(0)
    transform, log = auto_augment(), []
    for i, sub_policy in enumerate(transform.transforms):
        for j, op in enumerate(sub_policy.transforms):
            spy(op, (i, j), log)
    image = IMAGES[0][:4, :4]
    for _ in range(5000):
        transform(dict(img=image))
    first, second = log[::2], log[1::2]  # both are tried, in order
    assert [(i, 0) for (i, _), _ in second] == [key for key, _ in first]
    assert all(j == 1 for (_, j), _ in second)
    chosen = np.bincount([i for (i, _), _ in first], minlength=25)
    assert stats.chisquare(chosen).pvalue > 1e-3
    together = np.zeros((2, 2))  # applied or not, first and second, where both are open
    for i, pair in enumerate(PUBLISHED):
        for j, (name, prob, _) in enumerate(pair):
            applied = sum(done for key, done in log if key == (i, j))
            assert within(applied, chosen[i], prob), (i, name)
    for (key, one), (_, other) in zip(first, second):
        if key[0] == 9:  # contrast 0.6, sharpness 0.6
            together[int(one), int(other)] += 1
    assert stats.chi2_contingency(together).pvalue > 1e-3  # each has its own coin


@pytest.mark.stack
def test_rand_augment_draws():
    np.random.seed(0)
    transform, log = rand_augment(), []
    for i, op in enumerate(transform.transforms):
        spy(op, i, log)
    image = IMAGES[0][:4, :4]
    for _ in range(3000):
        transform(dict(img=image))
    assert len(log) == 6000  # two ops a time
    drawn = [key for key, _ in log]
    assert stats.chisquare(np.bincount(drawn, minlength=15)).pvalue > 1e-3
    twice = sum(a == b for a, b in zip(drawn[::2], drawn[1::2]))
    assert within(twice, 3000, 1 / 15)  # with replacement
    assert within(sum(done for _, done in log), 6000, 0.5)


@pytest.mark.parametrize('build', [auto_augment, rand_augment])
def test_draws_come_from_numpys_generator(build):
    def run():
        np.random.seed(7)
        random.seed()
        transform = build()
        return [transform(dict(img=IMAGES[0]))['img'] for _ in range(60)]

    first, second = run(), run()
    assert all(np.array_equal(a, b) for a, b in zip(first, second))
    assert len(as_set(first)) > 20


@pytest.mark.parametrize('build', [auto_augment, rand_augment])
@pytest.mark.parametrize('size', [(1, 1), (2, 7), (97, 64)])
def test_any_size(build, size):
    np.random.seed(0)
    transform = build()
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    for _ in range(60):
        out = transform(dict(img=image))['img']
        assert out.dtype == np.uint8 and out.shape == image.shape


def test_bad_channel_order():
    with pytest.raises(TypeError, match='channel_order'):
        TRANSFORMS.build(dict(type='AutoAugmentCIFAR10'))
    with pytest.raises(ValueError, match="channel_order must be 'bgr' or 'rgb', got 'RGB'"):
        rand_augment('RGB')
    with pytest.raises(TypeError, match='Did you mean `magnitude_std`'):
        rand_augment(magnitud_std=1)
