"""PillowOp's options, why it is there, and the geometry of ClippedCutout."""

import numpy as np
import pytest
from mmpretrain.registry import TRANSFORMS
from PIL import Image, ImageEnhance, ImageOps
from scipy import stats

from rescom_mm.datasets import ClippedCutout, PillowOp
from tests.datasets.transforms import pillow_reference as reference

IMAGES = reference.images()


def close(found, wanted):
    """At most 1 grey level on 99.5 % of the values, mean difference below 0.1."""
    difference = np.abs(found.astype(int) - wanted)
    return (difference <= 1).mean() >= 0.995 and difference.mean() < 0.1


def pillow(function):
    return [np.asarray(function(Image.fromarray(image))).astype(int) for image in IMAGES]


FIXED = dict(prob=1., random_negative_prob=0.)
GREY = (128, 128, 128)


@pytest.mark.parametrize('upstream, exact, wanted', [
    (dict(type='ColorTransform', magnitude=0.3, **FIXED), True,
     lambda image: ImageEnhance.Color(image).enhance(1.3)),
    (dict(type='Contrast', magnitude=0.3, **FIXED), True,
     lambda image: ImageEnhance.Contrast(image).enhance(1.3)),
    (dict(type='Sharpness', magnitude=0.3, **FIXED), True,
     lambda image: ImageEnhance.Sharpness(image).enhance(1.3)),
    (dict(type='Posterize', magnitude_range=(0, 4), magnitude_level=9.7, prob=1.), True,
     lambda image: ImageOps.posterize(image, int(0.4 * 9.7))),
    (dict(type='Solarize', magnitude_range=(0, 256), magnitude_level=9.7, prob=1.), True,
     lambda image: ImageOps.solarize(image, int(25.6 * 9.7))),
    (dict(type='Shear', magnitude=-0.2, interpolation='bicubic', **FIXED), False,
     lambda image: reference.matrix(image, (1, 0.2, 0, 0, 1, 0), reference.BICUBIC, GREY)),
    (dict(type='Translate', magnitude=-0.45, interpolation='bilinear', **FIXED), False,
     lambda image: reference.matrix(image, (1, 0, 0.45 * image.width, 0, 1, 0),
                                    reference.BILINEAR, GREY)),
    (dict(type='Rotate', angle=-20 / 3, interpolation='nearest', **FIXED), False,
     lambda image: image.rotate(20 / 3, fillcolor=GREY)),
], ids=lambda value: value['type'] if isinstance(value, dict) else None)
def test_mmpretrains_op_is_another_one(upstream, exact, wanted):
    """Where this fails, mmpretrain's op has become Pillow's: configure it instead of ours."""
    op = TRANSFORMS.build(upstream)  # takes BGR
    found = [op(dict(img=np.ascontiguousarray(image[..., ::-1])))['img'][..., ::-1]
             for image in IMAGES]
    same = np.array_equal if exact else close
    assert not all(same(one, other) for one, other in zip(found, pillow(wanted)))


@pytest.mark.parametrize('channel_order', ['rgb', 'bgr'])
def test_fill_is_rgb_whatever_the_order(channel_order):
    op = PillowOp('translate_x', channel_order, magnitude=0.5, fill=(1, 2, 3), prob=1.)
    out = op(dict(img=np.full((4, 4, 3), 9, np.uint8)))['img']
    assert (out[:, :2] == 9).all()
    assert (out[:, 2:] == ([1, 2, 3] if channel_order == 'rgb' else [3, 2, 1])).all()


@pytest.mark.parametrize('channel_order', ['rgb', 'bgr'])
def test_grey_is_luma(channel_order):
    op = PillowOp('color', channel_order, magnitude=-1, prob=1.)
    image = IMAGES[0] if channel_order == 'rgb' else IMAGES[0][..., ::-1]
    luma = np.asarray(Image.fromarray(IMAGES[0]).convert('L'))
    assert np.array_equal(op(dict(img=image))['img'], np.repeat(luma[..., None], 3, 2))


def test_directions():
    image = np.zeros((9, 9, 3), np.uint8)
    image[4, 7] = 255  # right of the middle

    def where(op, magnitude):
        out = PillowOp(op, 'rgb', magnitude, fill=(0, 0, 0), prob=1.)(dict(img=image))['img']
        return np.argwhere(out[..., 0]).tolist()

    assert where('rotate', 90) == [[1, 4]]  # anticlockwise
    assert where('translate_x', 1 / 3) == [[4, 4]]
    assert where('translate_y', 1 / 3) == [[1, 7]]


@pytest.mark.stack
@pytest.mark.parametrize('interpolation, resample', [
    ('nearest', reference.NEAREST), ('bilinear', reference.BILINEAR),
    ('bicubic', reference.BICUBIC)])
@pytest.mark.parametrize('height, width', [(1, 1), (2, 7), (33, 20), (70, 90)])
def test_warps_at_any_magnitude(interpolation, resample, height, width):
    generator = np.random.default_rng(0)
    image = generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
    pillow_image, fill = Image.fromarray(image), (1, 2, 3)
    # the fractions: where the shift is a whole number, but for rounding
    for m in (0, 1 / 3, -2 / 3, 2 / 7, 0.1, -0.45, *generator.uniform(-0.9, 0.9, 6)):
        for op, matrix in (('shear_x', (1, m, 0, 0, 1, 0)), ('shear_y', (1, 0, 0, m, 1, 0)),
                           ('translate_x', (1, 0, m * width, 0, 1, 0)),
                           ('translate_y', (1, 0, 0, 0, 1, m * height))):
            found = PillowOp(op, 'rgb', magnitude=m, fill=fill, interpolation=interpolation,
                             prob=1.)(dict(img=image))['img']
            wanted = reference.matrix(pillow_image, matrix, resample, fill)
            assert np.array_equal(found, np.asarray(wanted)), (op, m)


@pytest.mark.stack
@pytest.mark.parametrize('size', [(1, 1), (2, 7), (3, 3), (3, 300), (400, 310)])
def test_colours_at_any_size(size):
    generator = np.random.default_rng(0)
    image = generator.integers(5, 140, (*size, 3), dtype=np.uint8)
    image[generator.random(size) < 0.3] += 90
    pillow_image = Image.fromarray(image)
    for op, function in (('autocontrast', ImageOps.autocontrast), ('equalize', ImageOps.equalize),
                         ('invert', ImageOps.invert)):
        found = PillowOp(op, 'rgb', prob=1.)(dict(img=image))['img']
        assert np.array_equal(found, np.asarray(function(pillow_image))), op
    for op, enhancer in (('color', ImageEnhance.Color), ('contrast', ImageEnhance.Contrast),
                         ('brightness', ImageEnhance.Brightness),
                         ('sharpness', ImageEnhance.Sharpness)):
        for m in (-1, 0, 0.9, -0.9, 3.7, *generator.uniform(-1, 1, 5)):
            found = PillowOp(op, 'rgb', magnitude=m, prob=1.)(dict(img=image))['img']
            wanted = enhancer(pillow_image).enhance(1 + m)
            assert np.array_equal(found, np.asarray(wanted)), (op, m)


def test_signs_probabilities_and_interpolations():
    np.random.seed(0)
    op = PillowOp('translate_x', 'rgb', magnitude=0.25, prob=0.7, random_negative_prob=0.2,
                  interpolation=['nearest', 'bilinear'])
    image = np.arange(4, dtype=np.uint8).repeat(3).reshape(1, 4, 3)
    firsts = [int(op(dict(img=image))['img'][0, 0, 0]) for _ in range(2000)]
    counts = np.bincount(firsts, minlength=129)[[0, 1, 128]]
    assert counts.sum() == 2000  # left alone, moved to the left, moved to the right
    assert stats.chisquare(counts, 2000 * np.array([0.3, 0.7 * 0.8, 0.7 * 0.2])).pvalue > 1e-3
    names = [op.random_interpolation() for _ in range(1000)]
    assert stats.binomtest(names.count('nearest'), 1000, 0.5).pvalue > 1e-3


@pytest.mark.parametrize('options, message', [
    (dict(op='shear', magnitude=1), "op must be one of shear_x, .*got 'shear'"),
    (dict(magnitude=1, interpolation='area'), "nearest, bilinear, bicubic, got 'area'"),
    (dict(magnitude=1, interpolation=[]), 'interpolation'),
    (dict(), 'either magnitude or magnitude_range'),
    (dict(magnitude=1, magnitude_range=(0, 1)), 'either magnitude or magnitude_range'),
    (dict(op='invert', magnitude=1), "'invert' has no magnitude"),
])
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        TRANSFORMS.build(dict(dict(type='PillowOp', op='color', channel_order='rgb'), **options))


@pytest.mark.parametrize('image', [np.zeros((4, 4, 3), np.float32), np.zeros((4, 4), np.uint8)])
def test_bad_images(image):
    with pytest.raises(TypeError, match=r'uint8 images \[H, W, 3\], got (float32|uint8) \[4, 4'):
        PillowOp('color', 'rgb', 0.5, prob=0.)(dict(img=image))


@pytest.mark.stack
@pytest.mark.parametrize('height, width', [(32, 32), (10, 40)])
def test_cutout_geometry(height, width):
    image = np.full((height, width, 3), 200, np.uint8)
    cutout = ClippedCutout()
    rows, columns = np.mgrid[:height, :width]
    for y in range(height):
        for x in range(width):
            cutout.random_centre = lambda *_, y=y, x=x: (y, x)
            out = cutout(dict(img=image))['img']
            hole = (rows >= y - 8) & (rows < y + 8) & (columns >= x - 8) & (columns < x + 8)
            assert ((out == 0).all(axis=2) == hole).all() and (out[~hole] == 200).all()
    assert (image == 200).all()


def test_cutout_sizes_at_border():
    cutout = ClippedCutout()
    for centre, area in (((0, 0), 64), ((0, 16), 128), ((31, 31), 81), ((16, 16), 256)):
        cutout.random_centre = lambda *_, centre=centre: centre
        out = cutout(dict(img=np.ones((32, 32), np.uint8)))['img']
        assert (out == 0).sum() == area


def test_cutout_centre_is_uniform():
    np.random.seed(0)
    cutout = ClippedCutout(side=2, fill=7)
    centres = np.zeros((6, 8), int)
    for _ in range(4800):
        hole = np.argwhere(cutout(dict(img=np.zeros((6, 8), np.uint8)))['img'] == 7)
        centres[tuple(hole.max(axis=0))] += 1
    assert stats.chisquare(centres.ravel()).pvalue > 1e-3


@pytest.mark.parametrize('dtype', [np.uint8, np.float32])
def test_cutout_keeps_type_and_shape(dtype):
    out = ClippedCutout()(dict(img=np.ones((20, 30, 3), dtype)))['img']
    assert out.dtype == dtype and out.shape == (20, 30, 3)


@pytest.mark.parametrize('options', [dict(side=0), dict(side=15), dict(fill=256)])
def test_bad_cutout(options):
    with pytest.raises(ValueError, match=str(next(iter(options.values())))):
        ClippedCutout(**options)
