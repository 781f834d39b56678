"""Training from indices, with the images and their augmentation on the device."""

import numpy as np
import pytest
import torch
from mmengine.runner import Runner

from rescom_mm.datasets.replacing_dataset import ReplacingDataset
from rescom_mm.datasets.resident_dataset import ResidentDataset
from rescom_mm.utils import count_classes, list_digest
from tests.resuming import FewDigits, few_config, in_processes, resumed_equals_straight, seen
from tests.runs import ROOT, load

PACK = [dict(type='PackInputs')]
AUGMENT = dict(type='CIFARAugment', size=8, padding=1, cutout_side=2)
RESIDENT = dict(
    train_dataloader__dataset__pipeline=PACK, default_hooks__resident=dict(type='ResidentDataHook'),
    data_preprocessor=dict(num_classes=10, mean=[78.] * 3, std=[96.] * 3, augment=AUGMENT))
ONE_VIEW = dict(
    RESIDENT, config=ROOT / 'configs/baselines/ce_tiny_digits-lt.py', model__projector=None,
    data_preprocessor=dict(RESIDENT['data_preprocessor'], type='SiameseDataPreprocessor',
                           augment=dict(AUGMENT, views=1)))
MID = dict(stop=dict(iteration=7))  # in the second epoch of five iterations


def check(runner, views):
    """What the loader gave, and what the model's preprocessor makes of it."""
    dataset = runner.train_dataloader.dataset.dataset
    assert isinstance(runner.train_dataloader.dataset, ReplacingDataset)
    assert isinstance(dataset, ResidentDataset) and runner.train_dataloader.num_workers == 0
    for _, images, inputs in seen(runner):
        assert inputs.ndim == 1 and inputs.tolist() == images
    model = getattr(runner.model, 'module', runner.model)
    batch = dict(inputs=inputs, data_samples=[dataset.samples[i] for i in inputs])
    assert len(model.data_preprocessor(batch, True)['inputs']) == views * len(inputs)
    torch.testing.assert_close(model.data_preprocessor(batch)['inputs'],
                               (dataset.images[inputs].float() - 78) / 96)


@pytest.mark.stack
def test_resumed_equals_straight(tmp_path):
    runner = resumed_equals_straight(tmp_path, MID, **RESIDENT)
    check(runner, views=2)
    assert [idx for idx, _, _ in seen(runner)] == [2, 3, 4]
    state = load(tmp_path / 'straight' / 'iter_10.pth')
    assert not any('images' in key or 'augment' in key for key in state['state_dict'])
    meta = state['meta']['dataset_meta']
    assert meta['class_counts']['images'] == list(count_classes(FewDigits(), 10).images)


@pytest.mark.slow
def test_one_view(tmp_path):
    check(resumed_equals_straight(tmp_path, MID, **ONE_VIEW), views=1)


@pytest.mark.slow
def test_augmentation_alone(tmp_path):
    """Without the hook, images come from the pipeline, and from workers."""
    options = {key: value for key, value in RESIDENT.items() if 'resident' not in key}
    runner = resumed_equals_straight(tmp_path, MID, dict(workers=2), **options)
    assert all(inputs.shape[1:] == (3, 8, 8) for _, _, inputs in seen(runner))


def two_ranks(folder):
    check(resumed_equals_straight(folder, **RESIDENT), views=2)


@pytest.mark.slow
def test_two_ranks(tmp_path):
    in_processes(2, two_ranks, tmp_path)


def test_dataset():
    plain = FewDigits(pipeline=PACK)
    dataset = ResidentDataset(plain)
    assert len(dataset) == len(plain) and dataset.metainfo is not None
    assert count_classes(dataset, 10) == count_classes(plain, 10)
    assert list_digest(dataset) == list_digest(plain)
    for index in (0, 5, len(plain) - 1):
        item = dataset[index]
        assert item['inputs'] == index
        assert torch.equal(dataset.images[index], plain[index]['inputs'])
        assert item['data_samples'].gt_label == plain[index]['data_samples'].gt_label
    dataset.pipeline = None  # hooks may set what is the dataset's
    assert plain.pipeline is None


@pytest.mark.slow
@pytest.mark.parametrize('wrapper', [dict(type='RepeatDataset', times=2),
                                     dict(type='ClassBalancedDataset', oversample_thr=0.5)])
def test_repeated_images(tmp_path, wrapper):
    """A wrapper's samples are what it says, and a resumed run is exact."""
    dataset = dict(wrapper, _delete_=True, dataset=dict(type='FewDigits', pipeline=PACK))
    options = {key: value for key, value in RESIDENT.items() if 'pipeline' not in key}
    runner = resumed_equals_straight(tmp_path, MID, **options, train_dataloader__dataset=dataset,
                                     train_dataloader__dataset__type=wrapper['type'])
    resident = runner.train_dataloader.dataset.dataset
    assert len(resident) == len(resident.samples) == len(resident.images) > len(FewDigits())
    plain = FewDigits(pipeline=PACK)
    for index in range(0, len(resident), 17):
        same = plain[resident.samples[index].sample_idx]
        assert torch.equal(resident.images[index], same['inputs'])
        assert resident.samples[index].gt_label == same['data_samples'].gt_label


class Shrinking:
    """Images of several sizes."""

    def __call__(self, results):
        results['img'] = results['img'][:8 - results['sample_idx'] % 2]
        return results


@pytest.mark.parametrize('steps, message', [
    ([dict(type='RandomFlip', prob=0.5), *PACK], 'gives another image each time'),
    ([dict(type='MultiView', num_views=2, transforms=[[]]), *PACK], 'one uint8 image of the same'),
    ([Shrinking(), *PACK], 'one uint8 image of the same size'),
])
def test_pipelines_that_cannot_be_run_once(steps, message):
    np.random.seed(0)
    with pytest.raises(ValueError, match=message):
        ResidentDataset(FewDigits(pipeline=steps))


def test_another_preprocessor(tmp_path):
    cfg = few_config(tmp_path, **dict(ONE_VIEW, data_preprocessor=dict(num_classes=10)))
    cfg.model.pop('projector')
    with pytest.raises(ValueError, match='ClsDataPreprocessor, which cannot hold'):
        Runner.from_cfg(cfg).train()
