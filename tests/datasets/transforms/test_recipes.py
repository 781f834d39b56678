"""The views of the benchmark recipes: exact order, and Pillow's pixels for each step."""

import numpy as np
import pytest
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import TRANSFORMS
from PIL import Image, ImageEnhance

from tests.runs import ROOT

DATASETS = ROOT / 'configs' / '_base_' / 'datasets'


@pytest.fixture(autouse=True)
def mmpretrain_scope():
    """As under a Runner."""
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


def config(name):
    return Config.fromfile(DATASETS / f'{name}.py')


def views(name):
    """The recipe's transforms of a view."""
    return next(step for step in config(name).train_pipeline if step.type == 'TwoViews').transforms


def bgr(image):
    return np.ascontiguousarray(np.asarray(image)[..., ::-1])


@pytest.mark.parametrize('name, classes', [('cifar100_lt', 100), ('cifar10_lt', 10)])
def test_cifar(name, classes):
    cfg = config(name)
    assert [step.type for step in views(name)] == [
        'PaddedCropAndFlip', 'AutoAugmentCIFAR10', 'ClippedCutout']
    assert views(name)[1].channel_order == 'rgb' and not cfg.data_preprocessor.to_rgb
    assert cfg.data_preprocessor.num_classes == classes
    assert np.allclose(np.array(cfg.data_preprocessor.mean) / 255, [0.4914, 0.4822, 0.4465])
    assert np.allclose(np.array(cfg.data_preprocessor.std) / 255, [0.2023, 0.1994, 0.2010])
    train = cfg.train_dataloader
    assert train.batch_size == 128 and train.drop_last
    for loader, split in ((train, 'train'), (cfg.val_dataloader, 'test'),
                          (cfg.test_dataloader, 'test')):
        assert loader.dataset.type == f'CIFAR{classes}LT' and loader.dataset.split == split
        assert loader.dataset.data_root == f'data/cifar{classes}'

    np.random.seed(0)
    image = np.random.randint(1, 256, (32, 32, 3), dtype=np.uint8)
    pipeline, before = Compose(train.dataset.pipeline), image.copy()
    for _ in range(20):
        one, other = pipeline(dict(img=image, gt_label=3))['inputs']
        assert tuple(one.shape) == tuple(other.shape) == (3, 32, 32)
        assert not np.array_equal(one, other)
        assert min((view == 0).all(0).sum() for view in (one, other)) >= 64  # a hole in each
    assert np.array_equal(image, before)
    out = Compose(cfg.val_dataloader.dataset.pipeline)(dict(img=image, gt_label=3))['inputs']
    assert np.array_equal(out, image.transpose(2, 0, 1))


def test_cifar_crop_pads_with_black_and_takes_every_offset():
    np.random.seed(0)
    crop = TRANSFORMS.build(views('cifar100_lt')[0])
    image = np.random.randint(1, 256, (32, 32, 3), dtype=np.uint8)
    padded = np.pad(image, ((4, 4), (4, 4), (0, 0)))
    wanted = {np.ascontiguousarray(padded[y:y + 32, x:x + 32][:, ::step]).tobytes()
              for y in range(9) for x in range(9) for step in (1, -1)}
    assert {np.ascontiguousarray(crop(dict(img=image))['img']).tobytes()
            for _ in range(3000)} == wanted


def test_imagenet_order_and_options():
    steps = views('imagenet_lt')
    assert [step.type for step in steps] == [
        'ResizedCropAndFlip', 'FastColorJitter', 'PillowOp', 'RandAugmentNonIncreasing']
    crop, jitter, grey, rand_augment = map(TRANSFORMS.build, steps)
    assert crop.scale == (224, 224) and crop.crop_ratio_range == (0.08, 1.0)
    assert crop.aspect_ratio_range == (3 / 4, 4 / 3)
    assert crop.flip_prob == 0.5
    assert jitter.brightness == jitter.contrast == jitter.saturation == (0.6, 1.4)
    assert jitter.hue is None
    assert (grey.op, grey.magnitude, grey.prob, grey.random_negative_prob) == ('color', -1, 0.2, 0)
    assert (rand_augment.num_policies, rand_augment.magnitude_level, rand_augment.magnitude_std,
            rand_augment.total_level) == (2, 10, 0.5, 10)
    assert {op.prob for op in rand_augment.transforms} == {0.5}


@pytest.mark.stack
@pytest.mark.parametrize('seed', range(5))
def test_imagenet_before_rand_augment_is_pillow(tmp_path, seed):
    generator = np.random.default_rng(seed)
    image = Image.fromarray(generator.integers(0, 256, (70, 110, 3), dtype=np.uint8)).resize(
        (330, 210), Image.Resampling.BICUBIC)
    image.save(tmp_path / 'image.png')
    load = TRANSFORMS.build(config('imagenet_lt').train_pipeline[0])
    crop, jitter, grey, _ = map(TRANSFORMS.build, views('imagenet_lt'))
    crop.rand_crop_params = lambda _: (5, 7, 200, 300)  # top, left, height, width
    crop.flip_prob, grey.prob = 1., float(seed % 2)
    order, factors = generator.permutation(4), generator.uniform(0.6, 1.4, 3)
    jitter._rand_params = lambda: (order, *factors, None)
    found = load(dict(img_path=str(tmp_path / 'image.png')))
    found = crop(found)
    wanted = image.crop((7, 5, 307, 205)).resize((224, 224), Image.Resampling.BILINEAR)
    wanted = wanted.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert np.abs(found['img'].astype(int) - bgr(wanted)).max() <= 2
    wanted = Image.fromarray(found['img'][..., ::-1])  # all else is the same bit for bit
    for step in (jitter, grey):
        found = step(found)
    enhancers = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    for i in order[order < 3]:
        wanted = enhancers[i](wanted).enhance(factors[i])
    if seed % 2:
        wanted = wanted.convert('L').convert('RGB')
    assert np.array_equal(found['img'], bgr(wanted))


@pytest.mark.parametrize('size', [(300, 421), (421, 300), (97, 64)])
def test_imagenet_evaluation_is_pillow(tmp_path, size):
    pixels = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    image.save(tmp_path / 'image.png')
    found = Compose(config('imagenet_lt').test_pipeline)(
        dict(img_path=str(tmp_path / 'image.png'), gt_label=0))['inputs'].numpy()
    width, height = (int(256 * side / min(size)) for side in size)
    left, top = round((width - 224) / 2), round((height - 224) / 2)
    wanted = image.resize((width, height), Image.Resampling.BILINEAR).crop(
        (left, top, left + 224, top + 224))
    assert np.array_equal(found, bgr(wanted).transpose(2, 0, 1))


@pytest.mark.parametrize('size', [(500, 375), (60, 90)])
def test_imagenet_views_of_any_size(tmp_path, size):
    np.random.seed(0)
    Image.fromarray(np.random.randint(0, 256, (*size, 3), dtype=np.uint8)).save(
        tmp_path / 'image.jpg')
    pipeline = Compose(config('imagenet_lt').train_pipeline)
    for _ in range(10):
        one, other = pipeline(dict(img_path=str(tmp_path / 'image.jpg'), gt_label=0))['inputs']
        assert tuple(one.shape) == tuple(other.shape) == (3, 224, 224)
        assert not np.array_equal(one, other)
