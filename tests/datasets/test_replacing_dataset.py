"""ReplacingDataset: another image of the class where a file is damaged."""

import pickle

import numpy as np
import pytest
import torch
from mmengine.dataset import (
    ClassBalancedDataset,
    ConcatDataset,
    RepeatDataset,
    default_collate,
    pseudo_collate,
)
from mmpretrain.registry import DATASETS, TRANSFORMS

from rescom_mm.datasets import LongTailedDataset, UndecodableImage
from rescom_mm.datasets.replacing_dataset import (
    DAMAGED_KEY,
    CollateReplaced,
    Replaced,
    ReplacingDataset,
)
from rescom_mm.utils import count_classes, delivered_items
from tests.images import write_folders

SIZES = (12, 6, 4)


@TRANSFORMS.register_module()
class Fault:
    """Raises for some files, or gives None."""

    def __init__(self, names, error=None):
        self.names, self.error = names, error

    def __call__(self, results):
        if any(name in results['img_path'] for name in self.names):
            if self.error is None:
                return None
            raise self.error
        return results


@pytest.fixture
def paths(tmp_path):
    return write_folders(tmp_path, SIZES, np.random.default_rng(0))


def build(tmp_path, *transforms, load='LoadImage', **options):
    pipeline = [dict(type=load), *transforms, dict(type='PackInputs')]
    return DATASETS.build(dict(type='OwnImages', data_root=str(tmp_path), pipeline=pipeline,
                               **dict(dict(serialize_data=False), **options)))


def path_of(sample):
    sample = sample.sample if isinstance(sample, Replaced) else sample
    return sample['data_samples'].img_path


def test_good_samples_are_the_datasets_own(tmp_path, paths):
    plain = build(tmp_path)
    dataset = ReplacingDataset(plain)
    assert len(dataset) == sum(SIZES)
    state = np.random.get_state()[1].copy()
    for index in range(len(dataset)):
        assert torch.equal(dataset[index]['inputs'], plain[index]['inputs'])
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # nothing was drawn
    assert dataset.metainfo == plain.metainfo and dataset.CLASSES == plain.CLASSES
    assert dataset.pipeline is plain.pipeline and dataset._metainfo is plain._metainfo
    assert dataset.get_data_info(3) == plain.get_data_info(3)
    assert dataset.get_cat_ids(13) == [1]
    np.testing.assert_array_equal(dataset.get_gt_labels(), plain.get_gt_labels())
    dataset.pipeline = 'other'  # as SwitchRecipeHook does
    assert plain.pipeline == 'other'
    assert not hasattr(ReplacingDataset(RepeatDataset(build(tmp_path), 2)), 'pipeline')
    with pytest.raises(AttributeError, match='repeat_indices'):
        dataset.repeat_indices  # noqa: B018


@pytest.mark.parametrize('wrap', [
    lambda data: data,
    lambda data: RepeatDataset(data, 2),
    lambda data: ClassBalancedDataset(data, 0.5),
    lambda data: ConcatDataset([data, data]),
    lambda data: LongTailedDataset(data, 2),
    lambda data: torch.utils.data.ConcatDataset([data, data]),
    lambda data: torch.utils.data.Subset(data, [0, 3, 4, 12, 13, 14, 20, 21]),
], ids=['plain', 'repeat', 'balanced', 'concat', 'long-tailed', 'torch concat', 'subset'])
def test_wrapped_datasets(tmp_path, paths, wrap):
    """Counts stay, and each damaged file is found through the wrappers."""
    inner = wrap(build(tmp_path))
    dataset = ReplacingDataset(inner, limit=1)
    for got, expected in zip(delivered_items(dataset), delivered_items(inner)):
        np.testing.assert_array_equal(got, expected)
    assert count_classes(dataset, 3) == count_classes(inner, 3)
    _, labels = delivered_items(inner)
    expected = [path_of(inner[index]) for index in range(len(inner))]
    for path in set(expected[::5]):
        (tmp_path / path).write_bytes(b'')
    for index, path in enumerate(expected):
        sample = dataset[index]
        if path in expected[::5]:
            assert sample.damaged[0] == (path, 'the file is empty')
            sample = sample.sample
            assert path_of(sample) != path
        assert sample['data_samples'].gt_label == labels[index]


def test_draws_are_uniform_over_the_class_and_seeded(tmp_path, paths):
    paths[1][2].write_bytes(b'')
    paths[1][4].write_text('no image')
    dataset = ReplacingDataset(build(tmp_path), limit=1)
    index = SIZES[0] + 2
    assert dataset.get_data_info(index)['img_path'] == str(paths[1][2])
    drawn = []
    for seed in range(400):
        np.random.seed(seed)
        sample = dataset[index]
        np.random.seed(seed)
        assert path_of(dataset[index]) == path_of(sample)
        drawn.append(path_of(sample))
        assert sample.damaged[0] == (str(paths[1][2]), 'the file is empty')
        assert {path for path, _ in sample.damaged[1:]} <= {str(paths[1][4])}
    counts = np.array([drawn.count(str(path)) for path in paths[1]])
    assert counts[2] == counts[4] == 0
    # chi-square of 3 degrees of freedom: 16.3 once in a thousand
    assert ((counts[[0, 1, 3, 5]] - 100)**2 / 100).sum() < 16.3


def test_an_image_that_is_listed_twice_does_not_take_its_own_place(tmp_path, paths):
    names = [path.relative_to(tmp_path) for path in (paths[1][0], paths[1][0], paths[1][1])]
    (tmp_path / 'list.txt').write_text(''.join(f'{name} 1\n' for name in names))
    dataset = ReplacingDataset(build(tmp_path, ann_file='list.txt', classes=['a', 'b']), limit=1)
    paths[1][0].unlink()
    for index in (0, 1):
        assert path_of(dataset[index]) == str(paths[1][1])
    paths[1][1].unlink()
    with pytest.raises(UndecodableImage, match=r'class 1 \(b\) has no image that can be decoded, 2 '
                       r'tried: .*0\.jpg.*No such file.*1\.png.*; repair them, or remove'):
        dataset[0]


def test_an_exception_over_a_good_file_is_the_pipelines(tmp_path, paths):
    broken = build(tmp_path, dict(type='Fault', names=['class1/3'], error=KeyError('mask')))
    dataset = ReplacingDataset(broken, limit=1)
    with pytest.raises(KeyError, match='mask'):
        dataset[SIZES[0] + 3]
    paths[1][3].write_bytes(b'')
    # LoadImage comes before the fault
    assert dataset[SIZES[0] + 3].damaged == [(str(paths[1][3]), 'the file is empty')]
    with pytest.raises(IndexError):
        dataset[99]


@pytest.mark.parametrize('test_mode', [False, True])
def test_none_is_no_reason_to_draw_from_all_classes(tmp_path, paths, test_mode):
    """mmengine's own answer to None is any other image of the data set."""
    dataset = ReplacingDataset(build(tmp_path, dict(type='Fault', names=['class2/1']),
                                     test_mode=test_mode), limit=1)
    with pytest.raises(RuntimeError, match=r'class2/1\.png. can be decoded, but the pipeline .* '
                       'gives nothing for it'):
        dataset[SIZES[0] + SIZES[1] + 1]
    ignoring = build(tmp_path, load='LoadImageFromFile')
    ignoring.pipeline.transforms[0].ignore_empty = True  # gives None
    dataset = ReplacingDataset(ignoring, limit=1)
    paths[2][1].write_bytes(b'')
    for _ in range(20):
        sample = dataset[SIZES[0] + SIZES[1] + 1]
        assert sample.damaged == [(str(paths[2][1]), 'the file is empty')]
        assert sample.sample['data_samples'].gt_label == 2


def test_stock_loader(tmp_path, paths):
    dataset = ReplacingDataset(build(tmp_path, load='LoadImageFromFile'), limit=1)
    paths[0][0].write_text('text')
    paths[0][1].unlink()
    for index, reason in enumerate(('no image', 'No such file')):
        sample = dataset[index]
        assert reason in sample.damaged[0][1] and sample.sample['data_samples'].gt_label == 0


def test_limits(tmp_path, paths):
    for path in paths[0][:3]:
        path.write_bytes(b'')
    with pytest.raises(UndecodableImage, match=r'class0/0\.jpg.*is empty; repair or remove it, or '
                       r"set default_hooks\.bad_images\.on_error='replace'"):
        ReplacingDataset(build(tmp_path), on_error='raise')[0]
    # not all of a class is tried once the limit is passed
    dataset = ReplacingDataset(build(tmp_path), limit=0.02)
    with pytest.raises(UndecodableImage, match=r'1 of 22 training images cannot be decoded, which '
                       r'is more than limit=0\.02 .*class0/0\.jpg.* default_hooks\.bad_images\.'
                       'limit'):
        dataset[0]
    dataset.check({})
    ReplacingDataset(build(tmp_path), limit=3 / 22).check({str(path): '' for path in paths[0][:3]})


def test_images_in_memory():
    """There is no file to blame."""
    digits = DATASETS.build(dict(type='DigitsLT', pipeline=[dict(type='Fault', names=['x'])]))
    with pytest.raises(KeyError, match='img_path'):
        ReplacingDataset(digits)[0]


@pytest.mark.parametrize('collate', [default_collate, pseudo_collate])
def test_collate(tmp_path, paths, collate):
    paths[0][1].write_bytes(b'')
    dataset = pickle.loads(pickle.dumps(ReplacingDataset(build(tmp_path), limit=1)))
    ours = pickle.loads(pickle.dumps(CollateReplaced(collate)))
    good = ours([dataset[0], dataset[2]])
    assert good.keys() == {'inputs', 'data_samples'}
    batch = ours([dataset[0], dataset[1], dataset[1]])
    assert batch.pop(DAMAGED_KEY) == [(str(paths[0][1]), 'the file is empty')] * 2
    assert batch.keys() == good.keys() and len(batch['inputs']) == 3
    with pytest.raises(TypeError, match=r'train_dataloader\.collate_fn gives a list'):
        CollateReplaced(lambda samples: [s['inputs'] for s in samples])([dataset[1]])
