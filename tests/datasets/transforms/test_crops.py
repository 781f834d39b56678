"""Crops and jitter against mmpretrain's and Pillow's."""

import math

import numpy as np
import pytest
from mmcv.transforms.utils import cache_random_params
from mmpretrain.datasets.transforms import ColorJitter, RandomResizedCrop
from PIL import Image
from scipy import stats

from rescom_mm.datasets import FastColorJitter, PaddedCropAndFlip, PillowOp, ResizedCropAndFlip
from tests.datasets.transforms import pillow_reference as reference

IMAGES = reference.images()


@pytest.mark.parametrize('shape, side, padding', [((32, 32, 3), 32, 4), ((9, 12), 10, 2),
                                                  ((6, 6, 3), 6, 0), ((3, 4, 3), 2, 5)])
def test_padded_crop_is_a_window_of_the_padded_image(shape, side, padding):
    image = np.random.default_rng(0).integers(1, 256, shape, dtype=np.uint8)
    padded = np.pad(image, [(padding, padding)] * 2 + [(0, 0)] * (len(shape) - 2))
    crop = PaddedCropAndFlip(side, padding)
    for y in range(padded.shape[0] - side + 1):
        for x in range(padded.shape[1] - side + 1):
            for flip in (False, True):
                crop.random_place = lambda *_, place=(y, x, flip): place
                wanted = padded[y:y + side, x:x + side]
                found = crop(dict(img=image))
                assert np.array_equal(found['img'], wanted[:, ::-1] if flip else wanted)
                assert found['img_shape'][:2] == (side, side)


def test_padded_crop_is_uniform():
    np.random.seed(0)
    crop = PaddedCropAndFlip(8, 1, flip_prob=0.3)
    places = np.array([crop.random_place(8, 9) for _ in range(6000)])
    counts = np.zeros((3, 4, 2))
    np.add.at(counts, tuple(places.T), 1)
    expected = 6000 / 12 * np.array([0.7, 0.3]) * np.ones((3, 4, 1))
    assert stats.chisquare(counts.ravel(), expected.ravel()).pvalue > 1e-3


def test_bad_crops():
    with pytest.raises(ValueError, match='5x8 pixels, padded by 1, is smaller than crop_size=8'):
        PaddedCropAndFlip(8, 1)(dict(img=np.zeros((5, 8, 3), np.uint8)))
    for options in (dict(crop_size=0, padding=1), dict(crop_size=2, padding=-1),
                    dict(crop_size=2, padding=1, flip_prob=1.5)):
        with pytest.raises(ValueError, match='crop_size must be at least 1'):
            PaddedCropAndFlip(**options)
    with pytest.raises(ValueError, match=r'flip_prob must lie in 0 \.\.\. 1, got -1'):
        ResizedCropAndFlip(224, flip_prob=-1)


@pytest.mark.stack
@pytest.mark.parametrize('scale', [24, (200, 260)])
def test_resized_crop_is_pillows_within_2_levels(scale):
    np.random.seed(0)
    crop = ResizedCropAndFlip(scale)
    height, width = crop.scale
    for image in IMAGES:
        for flip in (False, True):
            crop.flip_prob = float(flip)
            top, left, h, w = place = crop.rand_crop_params(image)
            crop.rand_crop_params = lambda _, place=place: place
            found = crop(dict(img=image))
            del crop.rand_crop_params
            wanted = np.asarray(Image.fromarray(image[top:top + h, left:left + w]).resize(
                (width, height), Image.Resampling.BILINEAR))
            wanted = wanted[:, ::-1] if flip else wanted
            assert found['img'].shape == found['img_shape'] == (height, width, 3)
            assert np.abs(found['img'].astype(int) - wanted).max() <= 2


@pytest.mark.parametrize('shape', [(300, 400), (60, 50), (20, 200)])
def test_crops_follow_mmpretrains_law(shape):
    image = np.empty((*shape, 3), np.uint8)
    np.random.seed(0)
    draws = [np.array([crop.rand_crop_params(image) for _ in range(3000)])
             for crop in (ResizedCropAndFlip(8), RandomResizedCrop(8))]
    for of in (lambda top, left, h, w: h * w, lambda top, left, h, w: w / h,
               lambda top, left, h, w: top / (shape[0] - h + 1),
               lambda top, left, h, w: left / (shape[1] - w + 1)):
        found, wanted = (of(*values.T) for values in draws)
        assert stats.ks_2samp(found, wanted).pvalue > 1e-3
    found = draws[0]
    assert (found >= [0, 0, 1, 1]).all() and (found[:, :2] + found[:, 2:] <= shape).all()


@pytest.mark.parametrize('shape', [(10, 500), (500, 10), (10, 12)])
def test_centre_where_no_crop_fits(shape):
    image = np.empty((*shape, 3), np.uint8)
    theirs, ours = (kind(8, max_attempts=0) for kind in (RandomResizedCrop, ResizedCropAndFlip))
    assert ours.rand_crop_params(image) == theirs.rand_crop_params(image)


@pytest.mark.stack
@pytest.mark.parametrize('channel_order', ['bgr', 'rgb'])
def test_jitter_is_mmpretrains_on_pillow(channel_order):
    changes = dict(brightness=0.4, contrast=(0.2, 1.7), saturation=0.4)
    for seed, image in enumerate(IMAGES * 4):
        np.random.seed(seed)
        wanted = ColorJitter(**changes, backend='pillow')(dict(img=image[..., ::-1]))['img']
        np.random.seed(seed)
        given = np.ascontiguousarray(image[..., ::-1]) if channel_order == 'bgr' else image
        before = given.copy()
        found = FastColorJitter(channel_order, **changes)(dict(img=given))['img']
        assert np.array_equal(found if channel_order == 'bgr' else found[..., ::-1], wanted)
        assert np.array_equal(given, before)
    with pytest.raises(ValueError, match="channel_order must be 'bgr' or 'rgb', got 'RGB'"):
        FastColorJitter('RGB')


def test_jitter_of_nothing():
    image = IMAGES[0]
    assert np.array_equal(FastColorJitter('rgb')(dict(img=image))['img'], image)
    assert math.isclose(FastColorJitter('rgb', contrast=0.3).contrast[1], 1.3)


def test_draws_can_be_shared():
    op = PillowOp('translate_x', 'rgb', magnitude=0.25, prob=0.5, random_negative_prob=0.5)
    crop = PaddedCropAndFlip(8, 4)
    np.random.seed(0)
    for _ in range(10):  # as mmcv's ApplyToMultiple with share_random_params does
        with cache_random_params([op, crop]):
            outs = [op(crop(dict(img=IMAGES[0][:8, :8])))['img'] for _ in range(5)]
        assert all(np.array_equal(out, outs[0]) for out in outs)
    outs = {crop(dict(img=IMAGES[0][:8, :8]))['img'].tobytes() for _ in range(20)}
    assert len(outs) > 10  # drawn anew behind it
