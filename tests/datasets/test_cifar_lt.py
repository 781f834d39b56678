"""CIFAR10LT and CIFAR100LT on stand-in files of the official format and size."""

import hashlib
import pickle
import shutil

import numpy as np
import pytest
import torchvision

from rescom_mm.datasets import CIFAR10LT, CIFAR100LT, long_tailed_indices
from rescom_mm.utils import count_classes
from tests.cifar import labels_of, write_cifar10, write_cifar100


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp('cifar')
    write_cifar10(folder)
    write_cifar100(folder)
    yield folder
    shutil.rmtree(folder)  # 370 MB


@pytest.fixture
def small(tmp_path):
    write_cifar100(tmp_path, 1000, 200)
    return tmp_path / 'cifar-100-python'


def benchmark_way(labels, num_classes, n_max, factor):
    """The benchmarks' selection: the global legacy generator, seeded once, ascending classes."""
    np.random.seed(0)
    chosen = []
    for label in range(num_classes):
        positions = np.where(labels == label)[0]
        np.random.shuffle(positions)
        chosen.extend(positions[:int(n_max * factor**(-label / (num_classes - 1.0)))])
    return chosen


@pytest.mark.parametrize('cls, num_classes, factor, total', [
    (CIFAR100LT, 100, 100, 10847), (CIFAR100LT, 100, 50, 12608), (CIFAR100LT, 100, 10, 19573),
    (CIFAR10LT, 10, 100, 12406), (CIFAR10LT, 10, 50, 13996), (CIFAR10LT, 10, 10, 20431)])
def test_training_sets_are_the_benchmarks(root, cls, num_classes, factor, total):
    dataset = cls(str(root), imbalance_factor=factor, check_md5=False)
    assert len(dataset) == total
    n_max = 50000 // num_classes
    sizes = [int(n_max * (1 / factor)**(c / (num_classes - 1))) for c in range(num_classes)]
    assert list(count_classes(dataset, num_classes).images) == sizes
    # read off the pixels: which images, in which order
    items = [dataset.get_data_info(i) for i in range(total)]
    numbers = [int(item['img'][0, 0, 0]) * 256 + int(item['img'][0, 1, 0]) for item in items]
    labels = labels_of(num_classes, 50000)
    assert numbers == benchmark_way(labels, num_classes, n_max, factor)
    assert numbers == [item['source_idx'] for item in items]
    assert [item['gt_label'] for item in items] == labels[numbers].tolist()


def test_images_are_rgb_and_height_width_channels(root):
    item = CIFAR100LT(str(root), check_md5=False)[0]
    image = item['img']
    assert image.shape == (32, 32, 3) and image.dtype == np.uint8 and image.flags.writeable
    assert (image[..., 1] == item['gt_label']).all() and (image[..., 2] == 200).all()
    assert (image[1:, :, 0] == 0).all()


@pytest.mark.parametrize('cls', [CIFAR10LT, CIFAR100LT])
def test_test_set_is_whole_and_balanced(root, cls):
    dataset = cls(str(root), split='test', check_md5=False)
    num_classes = len(dataset.CLASSES)
    assert np.bincount(dataset.get_gt_labels()).tolist() == [10000 // num_classes] * num_classes
    assert [dataset.get_data_info(i)['source_idx'] for i in (0, 9999)] == [0, 9999]


def test_same_images_on_every_machine():
    """The positions themselves; a change of NumPy's legacy stream or of the rule shows here."""
    def digest(num_classes, **options):
        labels = np.arange(50000) % num_classes
        chosen = long_tailed_indices(labels, num_classes=num_classes, **options)
        return hashlib.sha256(chosen.astype('<i8').tobytes()).hexdigest()[:16]

    assert digest(100, imbalance_factor=100) == '7ebcb6242d814b39'
    assert digest(100, imbalance_factor=50) == 'eef4ef95f7d1acbc'
    assert digest(100, imbalance_factor=10) == 'ba33221ce300fee4'
    assert digest(10, imbalance_factor=100) == '563055e23a86ca16'
    assert digest(100, imbalance_factor=100, seed=10) == 'a20e3230b2f56a46'
    assert digest(100, imbalance_factor=100, profile='step') == 'cf2996749845818a'


def test_other_options(small):
    root = str(small.parent)
    step = CIFAR100LT(root, imbalance_factor=5, profile='step', check_md5=False)
    assert np.bincount(step.get_gt_labels()).tolist() == [10] * 50 + [2] * 50
    everything = CIFAR100LT(root, imbalance_factor=1, check_md5=False)
    assert len(everything) == 1000
    other = CIFAR100LT(root, imbalance_factor=5, seed=1, check_md5=False)
    first = CIFAR100LT(root, imbalance_factor=5, check_md5=False)
    assert len(other) == len(first)
    assert [other.get_data_info(i)['source_idx'] for i in range(20)] != \
        [first.get_data_info(i)['source_idx'] for i in range(20)]
    assert 'Imbalance factor: \t5' in repr(first)
    with pytest.raises(ValueError, match="'train' or 'test'"):
        CIFAR100LT(root, split='val')
    with pytest.raises(TypeError, match='Did you mean `imbalance_factor`'):
        CIFAR100LT(root, imbalance_facto=10)


def test_md5(small, monkeypatch):
    root = str(small.parent)
    with pytest.raises(ValueError, match=r'meta has MD5 .* check_md5=False'):
        CIFAR100LT(root)

    def md5(name):
        return hashlib.md5((small / name).read_bytes()).hexdigest()

    monkeypatch.setattr(CIFAR100LT, 'META', (*CIFAR100LT.META[:2], md5('meta')))
    with pytest.raises(ValueError, match=r'train has MD5 .*16019d7e3df5f24257cddd939b257f8d'):
        CIFAR100LT(root, imbalance_factor=5)
    monkeypatch.setattr(CIFAR100LT, 'FILES', dict(train=dict(train=md5('train'))))
    assert len(CIFAR100LT(root, imbalance_factor=5)) > 300


def test_missing_and_wrong_files(small, tmp_path):
    def load(**options):
        return CIFAR100LT(str(tmp_path), imbalance_factor=5, check_md5=False, **options)

    with pytest.raises(FileNotFoundError, match=r'cifar-10-batches-py/batches\.meta does not exist'
                       r'.*kriz/cifar-10-python\.tar\.gz.*prepare\.py cifar10 '):
        CIFAR10LT(str(tmp_path))
    (small / 'test').unlink()
    load()  # only the split's own file is read
    with pytest.raises(FileNotFoundError, match='test does not exist'):
        load(split='test')
    (small / 'test').write_bytes(b'<html>not found</html>')
    with pytest.raises(ValueError, match='is no pickle of CIFAR'):
        load(split='test')
    for wrong in ([1, 2], dict(data=np.zeros((2, 3072), np.uint8), fine_labels=[0, 100]),
                  dict(data=np.zeros((2, 3072)), fine_labels=[0, 1]),
                  dict(data=np.zeros((2, 3072), np.uint8), labels=[0, 1])):
        (small / 'test').write_bytes(pickle.dumps(wrong))
        with pytest.raises(ValueError, match=r'expected data \(uint8 \[N, 3072\]\) and fine_'):
            load(split='test')
    (small / 'meta').write_bytes(pickle.dumps(dict(fine_label_names=['apple', 'pear'])))
    with pytest.raises(ValueError, match='fine_label_names is not the list of class names'):
        load()


@pytest.mark.parametrize('cls, official', [
    (CIFAR10LT, torchvision.datasets.CIFAR10), (CIFAR100LT, torchvision.datasets.CIFAR100)])
def test_files_are_those_that_torchvision_knows(cls, official):
    assert official.base_folder == cls.FOLDER and official.url == cls.URL
    assert list(cls.FILES['train'].items()) == [tuple(file) for file in official.train_list]
    assert list(cls.FILES['test'].items()) == [tuple(file) for file in official.test_list]
    assert tuple(official.meta[key] for key in ('filename', 'key', 'md5')) == cls.META


class Malice:
    def __reduce__(self):
        return exec, ('raise SystemExit("ran")', )


def test_a_copy_from_elsewhere_cannot_run_code(small):
    (small / 'test').write_bytes(pickle.dumps(Malice()))
    with pytest.raises(ValueError, match=r'it wants builtins\.exec'):
        CIFAR100LT(str(small.parent), split='test', check_md5=False)
