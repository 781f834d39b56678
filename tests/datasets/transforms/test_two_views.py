"""TwoViews against mmpretrain's MultiView, and what both give the data preprocessor."""

import pickle

import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmengine.dataset import default_collate
from mmengine.registry import DefaultScope
from mmpretrain.registry import TRANSFORMS

from rescom_mm.datasets import TwoViews
from rescom_mm.models import SiameseDataPreprocessor

IMAGE = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
STOCK = [dict(type='RandomResizedCrop', scale=16), dict(type='RandomFlip', prob=0.5),
         dict(type='ColorJitter', brightness=0.4)]
OURS = [dict(type='PaddedCropAndFlip', crop_size=32, padding=4),
        dict(type='AutoAugmentCIFAR10', channel_order='rgb'), dict(type='ClippedCutout')]


@pytest.fixture(autouse=True)
def mmpretrain_scope():
    """As under a Runner."""
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


def multi_view(transforms):
    return TRANSFORMS.build(dict(type='MultiView', num_views=2, transforms=[transforms]))


def run(transform, seed=3):
    np.random.seed(seed)
    return transform(dict(img=IMAGE.copy(), gt_label=1))


def test_needs_no_default_scope(monkeypatch):
    """mmpretrain's vis_scheduler.py builds the data set before there is one."""
    monkeypatch.setattr(DefaultScope, '_instance_dict', {})
    assert len(run(TRANSFORMS.build(dict(type='TwoViews', transforms=OURS + STOCK)))['img']) == 2


@pytest.mark.stack
@pytest.mark.parametrize('transforms', [STOCK, OURS])
def test_is_multi_view(transforms):
    two_views = TRANSFORMS.build(dict(type='TwoViews', transforms=transforms))
    for seed in range(10):
        found, wanted = run(two_views, seed), run(multi_view(transforms), seed)
        assert found.keys() == wanted.keys() and found['gt_label'] == 1
        assert all(np.array_equal(one, other)
                   for one, other in zip(found['img'], wanted['img'])), seed
        assert not np.array_equal(*found['img'])


@pytest.mark.parametrize('side', [16, 120])
@pytest.mark.parametrize('dtype', [np.uint8, np.float32, np.int64])  # some OpenCV doesn't know
def test_views_are_packed_without_another_copy(side, dtype):
    image = np.random.default_rng(0).integers(0, 256, (side, side + 5, 3)).astype(dtype)
    views = TwoViews([lambda results: results])(dict(img=image))['img']
    assert all(np.array_equal(view, image) and view.flags.writeable for view in views)
    packed = Compose([dict(type='PackInputs')])(dict(img=views))['inputs']
    for view, tensor in zip(views, packed):
        assert tensor.is_contiguous() and tensor.data_ptr() == view.__array_interface__['data'][0]


def test_the_image_stays_and_is_locked():
    def write(results):
        results['img'][0] = 0
        return results

    with pytest.raises(ValueError, match='read-only'):
        run(TwoViews([write]))
    image = IMAGE.copy()
    views = TwoViews([lambda results: results])(dict(img=image))['img']
    views[0][:] = 0  # what comes out can be written into
    assert np.array_equal(views[1], IMAGE) and np.array_equal(image, IMAGE)
    assert image.flags.writeable


def test_grey_images_and_refused_ones():
    views = TwoViews([lambda results: results])(dict(img=IMAGE[..., 0]))['img']
    assert all(np.array_equal(view, IMAGE[..., 0]) for view in views)
    assert TwoViews([lambda results: None])(dict(img=IMAGE)) is None


@pytest.mark.parametrize('transforms', [
    OURS, [dict(type='ResizedCropAndFlip', scale=16),
           dict(type='FastColorJitter', channel_order='bgr', brightness=0.4, contrast=0.4),
           dict(type='RandAugmentNonIncreasing', channel_order='bgr')]])
def test_pickles(transforms):
    two_views = TRANSFORMS.build(dict(type='TwoViews', transforms=transforms))
    copied = pickle.loads(pickle.dumps(two_views))  # as spawned workers get it
    assert repr(copied) == repr(two_views)
    assert all(np.array_equal(one, other)
               for one, other in zip(run(copied)['img'], run(two_views)['img']))


@pytest.mark.parametrize('build', [multi_view, TwoViews])
def test_reaches_the_preprocessor(build):
    pipeline = Compose([build(OURS), dict(type='PackInputs')])
    data = default_collate([run(pipeline, seed) for seed in range(3)])
    views = torch.cat(data['inputs']).double()
    mean, std = torch.tensor([[120., 110., 100.], [60., 50., 40.]])[..., None, None]
    preprocessor = SiameseDataPreprocessor(mean.flatten().tolist(), std.flatten().tolist(),
                                           to_rgb=True)
    for _ in range(2):  # it keeps its options
        out = preprocessor(data, training=True)['inputs']
        assert out.dtype == torch.float32 and tuple(out.shape) == (6, 3, 32, 32)
        torch.testing.assert_close(out.double(), (views.flip(1) - mean) / std)
