"""DigitsLT, LongTailedDataset, ImageNetLT and the selection they share."""

import numpy as np
import pytest
from mmpretrain.registry import DATASETS
from PIL import Image

from rescom_mm.datasets import (
    DigitsLT,
    ImageNetLT,
    LongTailedDataset,
    long_tailed_indices,
    long_tailed_sizes,
)


def test_sizes_are_the_benchmarks():
    assert sum(long_tailed_sizes(500, 100, 100)) == 10847
    assert sum(long_tailed_sizes(500, 100, 50)) == 12608
    assert sum(long_tailed_sizes(500, 100, 10)) == 19573
    assert sum(long_tailed_sizes(5000, 10, 100)) == 12406
    assert long_tailed_sizes(5000, 10, 100, 'step') == [5000] * 5 + [50] * 5


def test_selection_is_that_of_the_legacy_generator():
    labels = np.repeat(np.arange(4), 20)
    np.random.seed(3)  # the benchmarks' way: the global legacy generator, seeded once
    expected = []
    for label, size in enumerate(long_tailed_sizes(20, 4, 5)):
        positions = np.where(labels == label)[0]
        np.random.shuffle(positions)
        expected.extend(positions[:size])
    assert long_tailed_indices(labels, 5, seed=3).tolist() == expected


def test_uneven_classes():
    labels = np.repeat([0, 1, 2], [90, 100, 4])
    sizes = np.bincount(labels[long_tailed_indices(labels, 10)])
    assert sizes.tolist() == long_tailed_sizes(40, 3, 10)  # class 2 has 4, so n_max is 40


@pytest.mark.parametrize('options, message', [
    (dict(imbalance_factor=0.01), 'for the inverse ratio 0.01 write 100'),
    (dict(imbalance_factor=50), 'lower it to at most 20'),
    (dict(imbalance_factor=2, profile='linear'), "'exp' or 'step'"),
    (dict(imbalance_factor=2, num_classes=5), r'classes \[4\] have no image'),
])
def test_bad_selections(options, message):
    with pytest.raises(ValueError, match=message):
        long_tailed_indices(np.repeat(np.arange(4), 20), **options)


def test_digits():
    train, test = DigitsLT(), DigitsLT(split='test')
    assert np.bincount(train.get_gt_labels()).tolist() == [128, 91, 65, 47, 33, 24, 17, 12, 8, 6]
    assert np.bincount(test.get_gt_labels()).tolist() == [50] * 10
    item = train[0]
    assert item['img'].shape == (8, 8, 3) and item['img'].dtype == np.uint8
    ids = [[d.get_data_info(i)['source_idx'] for i in range(len(d))] for d in (train, test)]
    assert not set(ids[0]) & set(ids[1])
    other = DigitsLT(seed=1)
    assert sorted(train.get_gt_labels()) == sorted(other.get_gt_labels())
    assert [other.get_data_info(i)['img'].sum() for i in range(9)] != \
        [train.get_data_info(i)['img'].sum() for i in range(9)]
    with pytest.raises(ValueError, match='split'):
        DigitsLT(split='validation')
    with pytest.raises(TypeError, match='imbalance_factor'):
        DigitsLT(imbalance_factr=10)


def test_digits_tuning_splits_stay_off_the_test_set():
    def originals(split):
        dataset = DigitsLT(split=split, imbalance_factor=1)
        return {dataset.get_data_info(i)['source_idx'] for i in range(len(dataset))}

    tune_train, tune_val, test = originals('tune_train'), originals('tune_val'), originals('test')
    assert not tune_val & tune_train and not (tune_val | tune_train) & test
    assert np.bincount(DigitsLT(split='tune_val').get_gt_labels()).tolist() == [25] * 10


def test_wrapper_passes_everything_through():
    inner = DigitsLT(imbalance_factor=1, pipeline=[dict(type='PackInputs')])
    wrapped = DATASETS.build(dict(type='LongTailedDataset', dataset=inner, imbalance_factor=5))
    assert wrapped.CLASSES == inner.CLASSES and wrapped.metainfo == inner.metainfo
    assert wrapped.pipeline is inner.pipeline
    first = int(wrapped.indices[7])
    assert wrapped.get_data_info(7)['source_idx'] == inner.get_data_info(first)['source_idx']
    assert wrapped[7]['data_samples'].gt_label == inner[first]['data_samples'].gt_label
    assert wrapped.get_cat_ids(7) == inner.get_cat_ids(first)
    assert len(wrapped) == len(wrapped.get_gt_labels()) == len(wrapped.indices)
    wrapped.pipeline = 'other'
    assert inner.pipeline == 'other'
    lazy = LongTailedDataset(DigitsLT(lazy_init=True), imbalance_factor=5, lazy_init=True)
    assert len(lazy) == len(LongTailedDataset(DigitsLT(), imbalance_factor=5))


def write_list(folder, lines, name='ImageNet_LT_train.txt'):
    (folder / name).write_text('\n'.join(lines) + '\n')
    (folder / 'train').mkdir(exist_ok=True)
    Image.new('RGB', (9, 8)).save(folder / 'train' / 'a.JPEG')


def test_imagenet_lt_list(tmp_path):
    write_list(tmp_path, ['train/a.JPEG 0', '', 'train/b c.JPEG 999'])
    dataset = ImageNetLT(str(tmp_path))
    assert dataset.get_gt_labels().tolist() == [0, 999]
    assert dataset.get_data_info(1)['img_path'].endswith('train/b c.JPEG')
    assert len(dataset.CLASSES) == 1000


@pytest.mark.parametrize('lines, error, message', [
    (['train/a.JPEG 0', 'train/a.JPEG'], ValueError, r'train\.txt:2: expected'),
    (['train/a.JPEG 0', 'train/a.JPEG 1000'], ValueError, r':2: label 1000 lies outside 0'),
    (['train/a.JPEG -1'], ValueError, ':1: label -1 lies outside 0'),
    ([''], ValueError, 'lists no image'),
    (['elsewhere/a.JPEG 3'], FileNotFoundError, 'is data_root='),
])
def test_bad_lists(tmp_path, lines, error, message):
    write_list(tmp_path, lines)
    with pytest.raises(error, match=message):
        ImageNetLT(str(tmp_path))


def test_missing_paths(tmp_path):
    with pytest.raises(FileNotFoundError, match='data_root'):
        ImageNetLT(str(tmp_path / 'nowhere'))
    with pytest.raises(FileNotFoundError, match='ann_file'):
        ImageNetLT(str(tmp_path), ann_file='other.txt')
    with pytest.raises(ValueError, match='split'):
        ImageNetLT(str(tmp_path), split='all')
