"""Counting through dataset wrappers."""

import numpy as np
import pytest
import torch
from mmengine.dataset import ClassBalancedDataset, ConcatDataset, RepeatDataset
from mmpretrain.datasets import KFoldDataset
from mmpretrain.registry import DATASETS

from rescom_mm.datasets import DigitsLT, LongTailedDataset
from rescom_mm.utils import count_classes, list_digest

LABELS = [0] * 6 + [1] * 3 + [2]


@pytest.fixture
def config(tmp_path):
    (tmp_path / 'list.txt').write_text('\n'.join(f'{i}.jpg {y}' for i, y in enumerate(LABELS)))
    return dict(type='CustomDataset', data_root=str(tmp_path), ann_file='list.txt',
                metainfo=dict(classes=['a', 'b', 'c']))


@pytest.fixture
def listed(config):
    return DATASETS.build(config)


def test_plain(listed):
    counts = count_classes(listed, 3)
    assert counts.images == counts.samples == (6, 3, 1)


def test_wrappers(listed, config):
    repeated = count_classes(RepeatDataset(listed, 3), 3)
    assert repeated.images == (6, 3, 1) and repeated.samples == (18, 9, 3)
    balanced_set = ClassBalancedDataset(listed, oversample_thr=0.9)
    balanced = count_classes(balanced_set, 3)
    delivered = [balanced_set.get_data_info(i)['gt_label'] for i in range(len(balanced_set))]
    assert balanced.images == (6, 3, 1)
    assert balanced.samples == tuple(np.bincount(delivered, minlength=3))
    twice = count_classes(ConcatDataset([listed, listed]), 3)  # the same files, listed twice
    assert twice.images == (6, 3, 1) and twice.samples == (12, 6, 2)
    nested = count_classes(RepeatDataset(
        dict(type='ConcatDataset', _scope_='mmpretrain', datasets=[config, config]), 2), 3)
    assert nested.images == (6, 3, 1) and nested.samples == (24, 12, 4)


def test_subsets(listed, config):
    subset = torch.utils.data.Subset(listed, [0, 0, 6, 9])
    assert count_classes(subset, 3).images == (1, 1, 1)
    assert count_classes(subset, 3).samples == (2, 1, 1)
    fold = KFoldDataset(config, fold=0, num_splits=5)
    assert count_classes(fold, 3).images == (4, 3, 1)
    both = torch.utils.data.ConcatDataset([subset, listed])
    assert count_classes(both, 3).images == (6, 3, 1)


def test_in_memory_images():
    digits = DigitsLT(split='train', imbalance_factor=1)
    longtailed = LongTailedDataset(digits, imbalance_factor=10)
    counts = count_classes(longtailed, 10)
    assert counts.images == tuple(np.bincount(longtailed.get_gt_labels()))
    repeated = RepeatDataset(dict(
        type='LongTailedDataset', _scope_='mmpretrain', imbalance_factor=10,
        dataset=dict(type='DigitsLT', split='train', imbalance_factor=1)), 2)
    assert count_classes(repeated, 10).images == counts.images


def test_unreadable_labels():
    with pytest.raises(ValueError, match='get_gt_labels'):
        count_classes(torch.utils.data.TensorDataset(torch.zeros(3)), 3)


def test_list_digest(tmp_path):
    """Images, labels and their order; not where the folder lies."""
    def digest(name, lines, repeat=1):
        (tmp_path / name).mkdir()
        (tmp_path / name / 'list.txt').write_text('\n'.join(lines))
        return list_digest(RepeatDataset(dict(
            type='CustomDataset', _scope_='mmpretrain', data_root=str(tmp_path / name),
            ann_file='list.txt', metainfo=dict(classes=['a', 'b'])), repeat))

    lines = ['a/1.jpg 0', 'a/2.jpg 0', 'b/3.jpg 1']
    plain = digest('one', lines)
    assert digest('another', lines) == plain
    assert plain not in (
        digest('order', [lines[1], lines[0], lines[2]]), digest('repeated', lines, 2),
        digest('path', [*lines[:2], 'b/4.jpg 1']), digest('label', [*lines[:2], 'b/3.jpg 0']))
