"""What the input pipeline is compared with: the same recipes, with no work that they lack."""

import numpy as np
import pillow_recipes
import pipeline
import pytest
import torch
from PIL import Image
from torchvision.transforms import AutoAugment, AutoAugmentPolicy

from tests.datasets.transforms import pillow_reference as reference

IMAGES = [Image.fromarray(image) for image in reference.images()[:2]]
NAMES = {'TranslateX': 'TranslateXRel', 'TranslateY': 'TranslateYRel'}


def test_cifar_policy_is_the_reference():
    published = AutoAugment(AutoAugmentPolicy.CIFAR10).policies
    for policy, ours in zip(published, pillow_recipes.AutoAugmentCIFAR10().policies, strict=True):
        for (name, prob, level), (found, ops) in zip(policy, ours, strict=True):
            assert found == prob
            for sign, op in zip((1, -1), ops, strict=True):
                for image in IMAGES:
                    wanted = reference.cifar10(name, level, sign, image)
                    assert np.array_equal(op(image), wanted), (name, level, sign)


@pytest.mark.parametrize('name', [
    'AutoContrast', 'Equalize', 'Invert', 'Rotate', 'Posterize', 'Solarize', 'SolarizeAdd', 'Color',
    'Contrast', 'Brightness', 'Sharpness', 'ShearX', 'ShearY', 'TranslateX', 'TranslateY'])
@pytest.mark.parametrize('level', [10, 9.25])
def test_rand_augment_is_the_reference(name, level):
    image = IMAGES[0]
    wanted = [np.asarray(one) for one in reference.rand_augment(name, level, image)]
    for resample in (pillow_recipes.BILINEAR, pillow_recipes.BICUBIC):
        op = pillow_recipes._rand_augment_op(NAMES.get(name, name), level / 10, resample)
        assert any(np.array_equal(op(image), one) for one in wanted)
    assert NAMES.get(name, name) in pillow_recipes.RandAugment.NAMES


@pytest.mark.parametrize('name', ['cifar100_lt', 'imagenet_lt'])
def test_stock_pipeline_has_mmpretrains_transforms(name):
    config = pipeline.Config.fromfile(
        pipeline.ROOT / 'configs' / '_base_' / 'datasets' / f'{name}.py')
    steps = pipeline.stock(config.train_dataloader.dataset.pipeline)
    view, = (step['transforms'] for step in steps if step['type'] == 'MultiView')
    kinds = {step['type'] for step in view[0]} | {step['type'] for step in steps}
    ours = {'TwoViews', 'LoadImage', *pipeline._STOCK_CROPS}
    assert not kinds & ours and {'RandomFlip', 'PackInputs'} <= kinds


def test_rows(tmp_path):
    """All three ways run over the same samples, from files too."""
    files, source = pipeline.photos(None, tmp_path)
    samples = [dict(img_path=str(file), gt_label=0) for file in files[:3]]
    images, _ = pipeline.cifar_samples(None, 3)
    arrays = [dict(img=image, gt_label=0) for image in images]
    for recipe, name, items, plain, transform in (
            ('cifar', 'cifar100_lt', arrays, images, pillow_recipes.cifar),
            ('imagenet', 'imagenet_lt', samples, files[:3], pillow_recipes.imagenet)):
        row = pipeline.measure(recipe, source, 3, dict(
            ours=pipeline.mm_epoch(name, items, 2),
            multiview=pipeline.mm_epoch(name, items, 2, make_stock=True),
            pillow=pipeline.pillow_epoch(transform, plain, 2)), 1)
        assert row['over_pillow']['median'] > 0 and row['over_multiview']['median'] > 0


def test_views_of_a_file(tmp_path):
    IMAGES[1].save(tmp_path / 'x.png')
    torch.manual_seed(0)
    views = pillow_recipes.two_views(pillow_recipes.imagenet(), tmp_path / 'x.png')
    assert [view.shape for view in views] == [(3, 224, 224)] * 2
    assert not torch.equal(*views)
