"""ImageNetLT, PlacesLT and INaturalist18: path spellings and the published facts."""

import dataclasses

import numpy as np
import pytest
from mmengine.dataset import BaseDataset

from rescom_mm.datasets import ImageNetLT, INaturalist18, PlacesLT, list_benchmark
from rescom_mm.datasets.benchmark_facts import (
    IMAGENET_LT,
    INATURALIST18,
    PLACES_LT,
    BenchmarkFacts,
    count_digest,
)
from rescom_mm.utils import count_classes

# the same two images in every release, and the ids of their classes
TRAIN = [(0, ['train/airfield/1.jpg', 'places365_standard/train/airfield/1.jpg',
              'data_256/a/airfield/1.jpg', 'data_256_standard/a/airfield/1.jpg',
              'data_large/a/airfield/1.jpg', 'data_large_standard/a/airfield/1.jpg']),
         (8, ['train/apartment_building-outdoor/2.jpg',
              'places365_standard/train/apartment_building-outdoor/2.jpg',
              'data_256/a/apartment_building/outdoor/2.jpg',
              'data_256_standard/a/apartment_building/outdoor/2.jpg',
              'data_large/a/apartment_building/outdoor/2.jpg',
              'data_large_standard/a/apartment_building/outdoor/2.jpg'])]
TEST = [(0, ['val/airfield/1.jpg', 'places365_standard/val/airfield/1.jpg', 'val_256/1.jpg',
             'val_256/airfield/1.jpg', 'val_large/1.jpg', 'val_large/airfield/1.jpg']),
        (8, ['val/apartment_building-outdoor/2.jpg',
             'places365_standard/val/apartment_building-outdoor/2.jpg', 'val_256/2.jpg',
             'val_256/apartment_building-outdoor/2.jpg', 'val_large/2.jpg',
             'val_large/apartment_building-outdoor/2.jpg'])]


@pytest.fixture
def said(monkeypatch):
    lines = []
    monkeypatch.setattr(list_benchmark, 'print_log', lambda line, **options: lines.append(line))
    return lines


def put(root, path):
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).touch()


def check(cls, split, root, images, listed, stored):
    """A list in one spelling finds images in another."""
    for _, spellings in images:
        put(root, spellings[stored])
    (root / cls.LISTS[split]).write_text(
        ''.join(f'{spellings[listed]} {label}\n' for label, spellings in images))
    dataset = cls(str(root), split=split)
    found = [(dataset.get_data_info(i)['gt_label'], dataset.get_data_info(i)['img_path'])
             for i in range(len(dataset))]
    assert found == [(label, f'{root}/{spellings[stored]}') for label, spellings in images]


@pytest.mark.parametrize('stored', range(6))
@pytest.mark.parametrize('listed', range(6))
def test_places_spellings(tmp_path, listed, stored):
    check(PlacesLT, 'train', tmp_path, TRAIN, listed, stored)
    check(PlacesLT, 'test', tmp_path, TEST, listed, stored)


@pytest.mark.parametrize('stored', range(4))
@pytest.mark.parametrize('listed', [0, 2])
def test_imagenet_spellings(tmp_path, listed, stored):
    images = [(0, ['val/n01440764/1.JPEG', 'val/1.JPEG', 'ILSVRC/Data/CLS-LOC/val/n01440764/1.JPEG',
                   'ILSVRC/Data/CLS-LOC/val/1.JPEG'])]
    check(ImageNetLT, 'test', tmp_path, images, listed, stored)


@pytest.mark.parametrize('stored', range(3))
@pytest.mark.parametrize('listed', range(3))
def test_inaturalist_spellings(tmp_path, listed, stored):
    images = [(7291, ['train_val2018/Plantae/7291/9f.jpg', 'Plantae/7291/9f.jpg',
                      '2018/Plantae/7291/9f.jpg'])]
    check(INaturalist18, 'val', tmp_path, images, listed, stored)
    assert INaturalist18(str(tmp_path), split='test').ann_file.endswith('iNaturalist18_val.txt')


def test_an_image_in_no_known_place(tmp_path):
    (tmp_path / 'Places_LT_train.txt').write_text('train/airfield/1.jpg 0\n')
    with pytest.raises(FileNotFoundError, match=r'Places_LT_train\.txt:1: .*is data_root=.*tried'
                       r'.*data_256/a/airfield/1\.jpg'):
        PlacesLT(str(tmp_path))
    put(tmp_path, 'data_256/a/airfield/1.jpg')
    (tmp_path / 'Places_LT_train.txt').write_text('train/airfield/1.jpg 0\nelsewhere/2.jpg 1\n')
    with pytest.raises(ValueError, match=r":2: 'elsewhere/2\.jpg' is written in another way"):
        PlacesLT(str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r'it comes from https://.*classifier-balancing'):
        INaturalist18(str(tmp_path))


def test_class_names():
    assert len(PlacesLT.METAINFO['classes']) == len(set(PlacesLT.METAINFO['classes'])) == 365
    assert PlacesLT.METAINFO['classes'][364] == 'zen_garden'
    assert INaturalist18.METAINFO['classes'][8141] == '8141'


@pytest.mark.parametrize('facts, classes', [
    (IMAGENET_LT, 1000), (PLACES_LT, 365), (INATURALIST18, 8142)])
def test_facts_fit_together(facts, classes):
    assert facts.many + facts.medium + facts.few == classes
    assert facts.least * classes < facts.images < facts.most * classes


def test_evaluation_lists_are_balanced():
    totals = {(name, split): each * classes for name, facts, classes in (
        ('imagenet', IMAGENET_LT, 1000), ('places', PLACES_LT, 365), ('inat', INATURALIST18, 8142))
        for split, each in facts.evaluation.items()}
    assert totals == {('imagenet', 'val'): 20000, ('imagenet', 'test'): 50000,
                      ('places', 'val'): 7300, ('places', 'test'): 36500,
                      ('inat', 'val'): 24426, ('inat', 'test'): 24426}
    counts = np.full(1000, 50)
    assert IMAGENET_LT.difference(counts, 'test') is None
    counts[[3, 9]] = 49, 51  # the total is right
    assert IMAGENET_LT.difference(counts, 'test') == (
        '2 of 1000 classes without their 50 images, such as class 3 with 49')
    assert IMAGENET_LT.difference(counts[:999], 'val').startswith('images 49950 (published: 19980')


def test_a_list_is_compared_with_the_published_one(tmp_path, said, monkeypatch):
    put(tmp_path, 'train/airfield/0_0.jpg')
    counts = np.ones(365, int)
    counts[:3] = [150, 100, 20]

    def write(counts, split='train'):
        (tmp_path / f'Places_LT_{split}.txt').write_text(''.join(
            f'train/airfield/{label}_{i}.jpg {label}\n' for label, n in enumerate(counts)
            for i in range(n)))
        said.clear()
        PlacesLT(str(tmp_path), split=split)

    write(counts)
    assert len(said) == 1  # all in one line
    for part in ('Places_LT_train.txt is not the published train list',
                 'images 632 (published: 62500)', 'most 150 (published: 4980)',
                 'many 1 (published: 131)', 'medium 2 (published: 163)', 'few 362 (published: 71)'):
        assert part in said[0]
    write(counts, 'val')
    assert len(said) == 1 and 'images 632 (published: 7300), 364 of 365 classes' in said[0]

    facts = BenchmarkFacts(632, 150, 1, 1, 2, 362, count_digest(counts), dict(val=3, test=1))
    monkeypatch.setattr(PlacesLT, 'FACTS', facts)
    write(counts)
    assert not said
    write(np.full(365, 3), 'val')
    assert not said
    write(counts[::-1])
    assert len(said) == 1 and 'other counts' in said[0]
    assert facts.difference(counts + 1).startswith('images 997 (published: 632), most 151')
    assert dataclasses.replace(facts, sha256='').difference(counts) is not None


def test_counting_is_that_of_get_data_info(tmp_path, monkeypatch):
    """The fast way of count_classes gives what asking for every item gives."""
    put(tmp_path, 'train/airfield/1.jpg')
    lines = ['train/airfield/1.jpg 0', 'train/airfield/1.jpg 0', 'train/airfield/2.jpg 0',
             'train/alley/1.jpg 4']
    (tmp_path / 'Places_LT_train.txt').write_text('\n'.join(lines))
    dataset = PlacesLT(str(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr(BaseDataset, 'get_data_info', None)
        patch.setattr(PlacesLT, 'get_data_info', None)
        fast = count_classes(dataset, 365)
    assert fast.images[:5] == (2, 0, 0, 0, 1) and fast.samples[:5] == (3, 0, 0, 0, 1)
    dataset.get_subset_([3, 0])
    assert count_classes(dataset, 365).images[:5] == (1, 0, 0, 0, 1)

    class Shifted(PlacesLT):
        def get_data_info(self, idx):
            return dict(super().get_data_info(idx), gt_label=7)

    assert count_classes(Shifted(str(tmp_path)), 365).samples[7] == 4
