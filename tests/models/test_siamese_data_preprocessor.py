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
    with pytest.raises(ValueError, match=r'3 views a sample.*TwoViews'):
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


class Negatives:
    """Two views of a batch: as it is, and inverted."""

    def __call__(self, images):
        return torch.cat([images, 255 - images])


@pytest.mark.parametrize('collate', [default_collate, pseudo_collate])
def test_views_made_of_a_batch(collate):
    batch = collate(samples(1))
    plain = ClsDataPreprocessor(**OPTIONS)(collate(samples(1)))
    preprocessor = SiameseDataPreprocessor(**OPTIONS, augment=Negatives())
    out = preprocessor(batch, training=True)
    assert out['inputs'].shape == (6, 3, 6, 5) and len(out['data_samples']) == 3
    assert torch.equal(out['inputs'][:3], plain['inputs'])
    second = SiameseDataPreprocessor(**OPTIONS)(dict(inputs=255 - torch.stack(list(
        collate(samples(1))['inputs']))))
    assert torch.equal(out['inputs'][3:], second['inputs'])
    # evaluation batches pass through
    assert torch.equal(preprocessor(collate(samples(1)))['inputs'], plain['inputs'])
    with pytest.raises(ValueError, match='and so does train_dataloader'):
        preprocessor(collate(samples(2)), training=True)
    preprocessor.batch_augments = object()
    with pytest.raises(ValueError, match='mixup'):
        preprocessor(batch, training=True)


def test_cifar_augment_by_config():
    augment = dict(type='CIFARAugment', views=1)
    preprocessor = SiameseDataPreprocessor(**OPTIONS, augment=augment)
    out = preprocessor(default_collate(samples(1, size=(32, 32))), training=True)
    assert out['inputs'].shape == (3, 3, 32, 32) and len(out['data_samples']) == 3


@pytest.mark.parametrize('to_onehot', [False, True])
def test_batches_of_indices(to_onehot):
    """With the images held by the preprocessor; it is what a batch of these images gives."""
    options = dict(OPTIONS, augment=Negatives(), to_onehot=to_onehot, num_classes=5)
    preprocessor, items = SiameseDataPreprocessor(**options), samples(1, count=5)
    held = [item['data_samples'] for item in items]
    batch = dict(inputs=torch.tensor([3, 1]), data_samples=[held[3], held[1]])
    with pytest.raises(RuntimeError, match='ResidentDataHook'):
        preprocessor(batch, training=True)
    preprocessor.hold(torch.stack([item['inputs'] for item in items]), held)
    items = samples(1, count=5)
    for training in (True, False):
        out = preprocessor(batch, training=training)
        wanted = preprocessor(default_collate([items[3], items[1]]), training=training)
        assert torch.equal(out['inputs'], wanted['inputs'])
        for mine, other in zip(out['data_samples'], wanted['data_samples']):
            assert torch.equal(mine.gt_label, other.gt_label)
            assert not to_onehot or torch.equal(mine.gt_score, other.gt_score)
    assert preprocessor.state_dict() == SiameseDataPreprocessor(**options).state_dict() == {}


def test_indices_and_views_are_not_read_back_from_a_device():
    """A meta tensor has no values: reading one raises."""
    preprocessor = SiameseDataPreprocessor(**OPTIONS, augment=dict(type='CIFARAugment')).to('meta')
    items = samples(1, count=5, size=(32, 32))
    held = [item['data_samples'] for item in items]
    preprocessor.hold(torch.stack([item['inputs'] for item in items]), held)
    out = preprocessor(dict(inputs=torch.tensor([3, 1]), data_samples=held[:2]), training=True)
    assert out['inputs'].device.type == 'meta' and out['inputs'].shape == (4, 3, 32, 32)
    assert all(sample.gt_label.device.type == 'meta' for sample in out['data_samples'])
