import numpy as np
import pytest
import torch
from mmengine.dataset import default_collate, pseudo_collate
from mmpretrain.datasets import PackInputs
from mmpretrain.models.utils.data_preprocessor import ClsDataPreprocessor

from rescom_mm.models import SiameseDataPreprocessor

OPTIONS = dict(mean=[123.0, 116.0, 103.0], std=[58.0, 57.0, 56.0], to_rgb=True)


def samples(views, count=3, size=(6, 5)):
    generator = np.random.default_rng(0)
    pack = PackInputs()
    out = []
    for label in range(count):
        images = [generator.integers(0, 256, (*size, 3), dtype=np.uint8) for _ in range(views)]
        out.append(pack(dict(img=images if views > 1 else images[0], gt_label=label)))
    return out


@pytest.mark.parametrize('collate', [default_collate, pseudo_collate])
def test_two_views(collate):
    items = samples(2)
    result = SiameseDataPreprocessor(**OPTIONS)(collate(items), training=True)
    assert result['inputs'].shape == (6, 3, 6, 5) and len(result['data_samples']) == 3
    row = 0
    for view in range(2):  # view 1 of all images first
        for item in items:
            image = item['inputs'][view].numpy()[::-1]  # to RGB
            for channel in range(3):
                expected = (image[channel].astype(np.float64) - OPTIONS['mean'][channel]) \
                    / OPTIONS['std'][channel]
                np.testing.assert_allclose(result['inputs'][row, channel], expected, rtol=1e-5)
            row += 1


@pytest.mark.parametrize('collate', [default_collate, pseudo_collate])
@pytest.mark.parametrize('count', [1, 2, 3])
def test_one_view_passes_as_with_mmpretrains_own(collate, count):
    mine = SiameseDataPreprocessor(**OPTIONS)(collate(samples(1, count)))
    stock = ClsDataPreprocessor(**OPTIONS)(collate(samples(1, count)))
    assert torch.equal(mine['inputs'], stock['inputs'])
    assert [s.gt_label for s in mine['data_samples']] == [s.gt_label for s in stock['data_samples']]


@pytest.mark.parametrize('collate', [default_collate, pseudo_collate])
def test_three_views_are_refused(collate):
    with pytest.raises(ValueError, match='num_views=2'):
        SiameseDataPreprocessor(**OPTIONS)(collate(samples(3)), training=True)


def test_mixing_is_refused():
    mixup = dict(augments=[dict(type='Mixup', alpha=0.8)])
    with pytest.raises(ValueError, match='mixup'):
        SiameseDataPreprocessor(batch_augments=mixup, num_classes=3)
    preprocessor = SiameseDataPreprocessor(**OPTIONS)
    preprocessor.batch_augments = object()  # as SwitchRecipeHook does
    with pytest.raises(ValueError, match='mixup'):
        preprocessor(default_collate(samples(2)), training=True)


@pytest.mark.parametrize('views', [1, 2])
@pytest.mark.parametrize('collate', [default_collate, pseudo_collate])
def test_channels_last(collate, views):
    plain = SiameseDataPreprocessor(**OPTIONS)(collate(samples(views)))['inputs']
    mine = SiameseDataPreprocessor(**OPTIONS, channels_last=True)(collate(samples(views)))['inputs']
    assert torch.equal(mine, plain) and plain.is_contiguous() and not mine.is_contiguous()
    assert mine.is_contiguous(memory_format=torch.channels_last)
