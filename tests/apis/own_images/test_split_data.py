"""tools/data/split.py."""

import re

import numpy as np
import pytest
from mmpretrain.registry import DATASETS
from PIL import Image

from rescom_mm.apis.own_images import split_data
from rescom_mm.datasets import long_tailed_sizes


@pytest.fixture
def birds(tmp_path):
    """48 owls, 24 wrens and 12 crows."""
    for name, total in (('crow', 12), ('owl', 48), ('wren', 24)):
        (tmp_path / name / 'more').mkdir(parents=True)
        for i in range(total):
            path = tmp_path / name / ('more' if i % 2 else '.') / f'no {i}.PNG'
            Image.new('RGB', (4, 4), (i, total, 0)).save(path)
        (tmp_path / name / 'notes.txt').touch()
    (tmp_path / '.cache').mkdir()
    return tmp_path


def read(folder, name):
    return [line.rsplit(' ', 1) for line in (folder / name).read_text().splitlines()]


def test_split(birds, capsys):
    split_data.main([str(birds), '--test-per-class', '2'])
    train, test = read(birds, 'train.txt'), read(birds, 'test.txt')
    assert (birds / 'classes.txt').read_text() == 'crow\nowl\nwren\n'
    assert np.bincount([int(label) for _, label in test]).tolist() == [2, 2, 2]
    assert np.bincount([int(label) for _, label in train]).tolist() == [10, 46, 22]
    paths = [path for path, _ in train + test]
    assert len(set(paths)) == 84 and all((birds / path).is_file() for path in paths)
    assert all(path.split('/')[0] == ['crow', 'owl', 'wren'][int(label)]
               for path, label in train + test)
    said = capsys.readouterr().out
    assert re.search(r'owl +46 +2 +48 +medium +#+\n', said)
    assert '78 training and 6 test images' in said and 'imbalance factor 4.6 (' in said
    assert len(built(birds, birds, 'train')) == 78


def built(images, lists, split):
    dataset = DATASETS.build(dict(
        type='OwnImages', data_root=str(images), ann_file=str(lists / f'{split}.txt'),
        classes=str(lists / 'classes.txt')))
    assert dataset.CLASSES == ('crow', 'owl', 'wren')
    return dataset


def test_next_command(birds, capsys, monkeypatch):
    """On to inspect, which writes the config; where it is there, on to the training."""
    monkeypatch.chdir(birds.parent)
    split_data.main([str(birds), '--test-per-class', '2'])
    assert f'next: python tools/data/inspect.py {birds}\n' in capsys.readouterr().out
    (birds.parent / 'a config.py').touch()
    split_data.main([str(birds), '--test-per-class', '2', '--config', 'a config.py'])
    assert "next: python tools/train.py 'a config.py'" in capsys.readouterr().out


def test_small_classes_give_half(birds, capsys):
    for name, total in (('dodo', 1), ('kea', 2), ('moa', 3)):
        (birds / name).mkdir()
        for i in range(total):
            (birds / name / f'{i}.png').touch()
    split_data.main([str(birds), '--test-per-class', '12'])
    test = np.bincount([int(label) for _, label in read(birds, 'test.txt')], minlength=6)
    assert test.tolist() == [6, 0, 1, 1, 12, 12]  # crow, dodo, kea, moa, owl, wren
    train = np.bincount([int(label) for _, label in read(birds, 'train.txt')], minlength=6)
    assert (test + train).tolist() == [12, 1, 2, 3, 48, 24]
    said = capsys.readouterr().out
    assert 'fewer than 12 test images, half of theirs at most, from 3 classes' in said
    assert 'no test image from 1 class with a single one, which is trained on: dodo' in said


def test_unreadable_images_are_left_out(birds, capsys):
    (birds / 'unreadable_images.txt').write_text('owl/no 0.PNG\tno image\n')
    split_data.main([str(birds), '--test-per-class', '2'])
    assert len(read(birds, 'train.txt')) == 77
    assert 'left out: 1 image that' in capsys.readouterr().out
    assert 'owl/no 0.PNG' not in {path for name in ('train.txt', 'test.txt')
                                  for path, _ in read(birds, name)}


def test_copies_are_not_tested_on(birds, capsys):
    """Whatever the seed: no test image is known from training."""
    for k in range(0, 12, 2):
        (birds / 'crow' / f'again {k}.png').write_bytes((birds / f'crow/no {k}.PNG').read_bytes())
    (birds / 'wren' / 'link.png').symlink_to(birds / 'owl' / 'no 0.PNG')
    (birds / 'dodo').mkdir()
    for k in range(3):
        (birds / 'dodo' / f'{k}.png').write_bytes(b'always the same')
    for seed in range(5):
        split_data.main([str(birds), '--test-per-class', '9', '--seed', str(seed), '--force'])
        train, test = ({(birds / path).read_bytes() for path, _ in read(birds, name)}
                       for name in ('train.txt', 'test.txt'))
        assert not train & test
        # crow, dodo, owl, wren; of 18 crows the six that have no copy
        assert np.bincount([int(label) for _, label in read(birds, 'test.txt')]).tolist() == [
            6, 0, 9, 9]
        assert len(read(birds, 'train.txt')) + 24 == 84 + 6 + 1 + 3
    assert ('17 images with a copy among the others: trained on, not tested on, so 1 '
            'class without a test image: remove' in capsys.readouterr().out)
    for name in ('crow', 'owl', 'wren'):
        for path in (birds / name).rglob('*.*'):
            path.unlink()
            path.write_bytes(b'always the same')
    with pytest.raises(SystemExit, match='has a copy among the others; remove the copies'):
        split_data.main([str(birds), '--force'])


def test_nothing_to_split(birds, capsys):
    for split in ('train', 'validation'):
        (birds / 'all' / split).mkdir(parents=True)
        for name in ('crow', 'owl'):
            (birds / 'all' / split / name).symlink_to(birds / name)
    split_data.main([str(birds / 'all')])
    said = capsys.readouterr().out
    assert 'has images to test on already (train/, validation/): nothing to split' in said
    assert 'next: python tools/data/inspect.py' in said
    assert not (birds / 'all' / 'train.txt').exists()


def test_split_long_tailed_and_elsewhere(birds, capsys):
    argv = [str(birds), '--test-per-class', '2', '--imbalance-factor', '4', '--out']
    for name in ('a', 'b'):
        split_data.main([*argv, str(birds.parent / 'lists' / name)])
    lists = birds.parent / 'lists'
    train = read(lists / 'a', 'train.txt')
    # n_max is what crow's 10 allow: 40; owl, wren, crow by size
    sizes = np.bincount([int(label) for _, label in train])
    assert sizes[[1, 2, 0]].tolist() == long_tailed_sizes(40, 3, 4) and sizes[0] == 10
    assert (lists / 'a' / 'train.txt').read_text() == (lists / 'b' / 'train.txt').read_text()
    split_data.main([*argv, str(lists / 'c'), '--seed', '1'])
    assert read(lists / 'c', 'train.txt') != train
    assert not {p for p, _ in read(lists / 'c', 'test.txt')} & {
        p for p, _ in read(lists / 'c', 'train.txt')}
    assert 'imbalance factor 4 (largest class 40, smallest 10)' in capsys.readouterr().out
    assert len(built(birds, lists / 'c', 'train')) == len(read(lists / 'c', 'train.txt'))


@pytest.mark.parametrize('options, message', [
    (['--seed', '-1'], 'seed must lie in'),
    (['--test', 'test.txt'], 'is a folder; --test, --images and --classes are for a list file'),
    (['--test-per-class', '0'], 'at least 1'),
    (['--test-per-class', '2', '--imbalance-factor', '90'], 'lower it to at most'),
])
def test_split_refuses(birds, options, message):
    with pytest.raises(SystemExit, match=message):
        split_data.main([str(birds), *options])
    assert not (birds / 'train.txt').exists()


def test_split_leaves_files_alone(birds):
    (birds / 'train.txt').write_text('mine')
    with pytest.raises(SystemExit, match=r'train\.txt is there already.*--force'):
        split_data.main([str(birds), '--test-per-class', '2'])
    assert (birds / 'train.txt').read_text() == 'mine' and not (birds / 'test.txt').exists()
    with pytest.raises(SystemExit, match='does not exist'):
        split_data.main([str(birds / 'none')])
    with pytest.raises(SystemExit, match='holds no class folders'):
        split_data.main([str(birds / 'crow' / 'more')])
    with pytest.raises(SystemExit, match='holds no image'):
        (birds / 'dodo').mkdir()
        split_data.main([str(birds)])


@pytest.mark.parametrize('name, listed', [('a\nb.png', False), ('a\rb.png', False),
                                          ('\udcff.png', False), (' ä\u2028\t b.png', True)])
def test_split_refuses_names_that_no_list_can_hold(birds, name, listed):
    (birds / 'owl' / 'no 0.PNG').rename(birds / 'owl' / name)
    argv = [str(birds), '--test-per-class', '2']
    if not listed:
        with pytest.raises(SystemExit, match=r"'owl/.*\.png' cannot stand in a list"):
            split_data.main(argv)
        assert not (birds / 'train.txt').exists()
        return
    split_data.main(argv)
    items = [dataset.get_data_info(i)['img_path'] for dataset in (DATASETS.build(dict(
        type='OwnImages', data_root=str(birds), ann_file=file, classes=str(birds / 'classes.txt')))
        for file in ('train.txt', 'test.txt')) for i in range(len(dataset))]
    assert len(items) == 84 and f'{birds}/owl/{name}' in items
    (birds / 'wren').rename(birds / 'wren ')
    with pytest.raises(SystemExit, match="'wren ' cannot stand in a list file"):
        split_data.main([*argv, '--out', str(birds / 'lists')])
