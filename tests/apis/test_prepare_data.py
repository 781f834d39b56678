"""tools/data/prepare.py: what is there, what is missing, and what to do next."""

import shlex

import numpy as np
import pytest
from mmengine.config import Config

from rescom_mm.apis import check_data, prepare_data
from rescom_mm.datasets import CIFAR100LT, long_tailed_sizes
from tests.cifar import write_cifar100
from tests.runs import ROOT
from tests.standin import write_published


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A complete data_root of Places-LT."""
    facts = write_published(tmp_path / 'root', tmp_path / 'root', 'PlacesLT')
    monkeypatch.setattr(prepare_data.PlacesLT, 'FACTS', facts)
    return tmp_path / 'root'


def rows_of(capsys):
    """The lines of the table as words, by split, and what else was printed."""
    lines = capsys.readouterr().out.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith('split'))
    return {line.split()[0]: line.split()[1:] for line in lines[start:]}, '\n'.join(lines)


def run(root, *options, name='places-lt'):
    prepare_data.main([name, '--data-root', str(root), *options])


def test_places_in_order(places, capsys):
    run(places)
    rows, said = rows_of(capsys)
    assert rows['train'] == ['583', '365', '101', '1', '1', '2', '362', 'as', 'published']
    assert rows['val'] == rows['test'] == ['730', '365', '2', '2', 'as', 'published']
    assert f'all in order in {places}. Next: python tools/train.py configs/' in said
    run(places, '--no-check-images')
    rows, said = rows_of(capsys)
    assert rows['val'][-4:] == ['images', 'not', 'looked', 'for'] and 'lists in order' in said


def test_each_missing_list_has_its_row(places, capsys):
    (places / 'Places_LT_train.txt').unlink()
    (places / 'Places_LT_test.txt').unlink()
    with pytest.raises(SystemExit, match=r'not in order: train; test\. Next: python tools/data/pre'
                       rf'pare\.py places-lt --data-root {places} --download \(--lists FOLDER'):
        run(places)
    rows, _ = rows_of(capsys)
    assert rows['train'] == ['list', 'missing:', f'{places}/Places_LT_train.txt']
    assert rows['val'][-2:] == ['as', 'published']
    assert rows['test'][0] == 'list'


def test_nothing_there(tmp_path, capsys):
    with pytest.raises(SystemExit, match=r'train; val; test\. .* --images FOLDER --download '
                       r'\(FOLDER holds one or more of train_val2018, 2018;'):
        run(tmp_path / 'none', name='inat18')
    assert set(rows_of(capsys)[0]) == {'split', 'train', 'val', 'test'}
    assert not (tmp_path / 'none').exists()


def test_wrong_lists(places, capsys):
    test = places / 'Places_LT_test.txt'
    lines = test.read_text().splitlines()
    test.write_text('\n'.join([*lines[:-1], lines[0]]))  # as many, but not balanced
    (places / 'Places_LT_val.txt').write_text('train/airfield/00000000.jpg 365')
    with pytest.raises(SystemExit, match=rf'not in order: val; test\. Next: move {places}/Places_LT'
                       r'_val\.txt, .*_test\.txt away, then .* --download'):
        run(places)
    rows, said = rows_of(capsys)
    assert rows['val'] == ['list', 'not', 'readable'] and '_val.txt:1: label 365 lies out' in said
    assert 'differs: 2 of 365 classes without their 2 images, such as class 0 with 3' in said


def test_missing_images(places, capsys, monkeypatch):
    (places / 'train' / 'airfield' / '00000007.jpg').unlink()
    with pytest.raises(SystemExit, match=r'in order: train; val\. Next: complete the images'):
        run(places)
    captured = capsys.readouterr()
    assert '; 1 image missing, such as' in captured.out and '; 2 images missing' in captured.out
    assert f'{places}/train/airfield/00000007.jpg' in captured.out
    assert '/730' not in captured.err  # no progress bar for a few
    monkeypatch.setattr(check_data, '_MANY_IMAGES', 700)
    (places / 'val').rename(places / 'elsewhere')
    with pytest.raises(SystemExit, match=r'train; val; test\. Next: complete .* --images'):
        run(places)
    captured = capsys.readouterr()
    assert 'as published; images missing' in captured.out
    assert 'Places_LT_test.txt:1: ' in captured.out and 'tried, below it' in captured.out
    assert captured.err.count('730/730') == 1 and '583/583' not in captured.err


def test_missing_images_are_found_folder_by_folder(tmp_path):
    (tmp_path / 'a').mkdir()
    (tmp_path / 'a' / '1.jpg').touch()
    paths = [f'{tmp_path}/{name}' for name in ('a/1.jpg', 'a/2.jpg', 'b/1.jpg', 'a/1.jpg')]
    assert check_data.missing_images(paths) == paths[1:3]


def test_defaults_and_next_commands_are_the_configs(tmp_path):
    for name, (config, data_root) in prepare_data.CONFIGS.items():
        cfg = Config.fromfile(ROOT / config)
        kind = {**prepare_data.CIFAR, **prepare_data.LISTS}[name].__name__
        for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
            assert loader.dataset.data_root == data_root and loader.dataset.type == kind
        args = prepare_data.parse_args([name])
        assert str(args.data_root) == data_root
        words = shlex.split(prepare_data.training_command(args))
        assert words[:3] == ['python', 'tools/train.py', config]
        args = prepare_data.parse_args([name, '--data-root', str(tmp_path / 'my data')])
        words = shlex.split(prepare_data.training_command(args))
        options = dict(word.split('=') for word in words[words.index('--cfg-options') + 1:])
        for key in options:
            parent, _, last = key.rpartition('.')
            assert last in eval(f'cfg.{parent}'), key
        assert options['test_dataloader.dataset.data_root'] == str(tmp_path / 'my data')


@pytest.mark.parametrize('argv', [['inat18', '--no-check-md5'], ['cifar10', '--lists', '.'],
                                  ['cifar10', '--no-check-images'], ['inat18', '--lists', 'none']])
def test_options_that_do_not_fit(argv):
    with pytest.raises(SystemExit, match='2'):
        prepare_data.parse_args(argv)


def test_cifar(tmp_path, capsys):
    write_cifar100(tmp_path, 10000, 200)
    with pytest.raises(SystemExit, match=r'not in order: train, factor 100; .*test\. Next: move '
                       r'.*cifar-100-python away, then .*, or accept .* --no-check-md5'):
        run(tmp_path, name='cifar100')
    assert 'has MD5' in capsys.readouterr().out
    run(tmp_path, '--no-check-md5', name='cifar100')
    said = capsys.readouterr().out.splitlines()
    rows = [line.split() for line in said]
    assert rows[0] == ['split', 'images', 'classes', 'largest', 'smallest', 'many', 'medium', 'few',
                       'checked']
    sizes = np.array(long_tailed_sizes(100, 100, 50))
    assert rows[2] == ['train,', 'factor', '50', str(sizes.sum()), '100', '100', '2',
                       str((sizes > 100).sum()), str(((sizes >= 20) & (sizes <= 100)).sum()),
                       str((sizes < 20).sum()), 'labels', 'only']
    assert rows[4] == ['test', '200', '100', '2', '2', 'labels', 'only']
    assert said[5].endswith('test_dataloader.dataset.check_md5=False')


def test_cifar_that_is_elsewhere(tmp_path, capsys):
    write_cifar100(tmp_path / 'mine', 10000, 200)
    (tmp_path / 'mine' / 'cifar-100-python' / 'train').unlink()
    with pytest.raises(SystemExit, match=r'--download \(or --images FOLDER'):
        run(tmp_path / 'root', name='cifar100')
    capsys.readouterr()
    with pytest.raises(SystemExit, match=r'factor 10\. Next: move .*-python away, then .*load$'):
        run(tmp_path / 'root', '--no-check-md5', '--download', '--images', str(tmp_path / 'mine'),
            name='cifar100')  # torchvision would unpack into the linked folder
    rows, said = rows_of(capsys)
    assert rows['train,'][2:] == ['files', 'missing'] and rows['test'][0] == '200'
    assert 'linked ' in said and (tmp_path / 'root' / 'cifar-100-python').is_symlink()


def test_cifar_is_downloaded_by_torchvision(tmp_path, monkeypatch, capsys):
    import torchvision.datasets
    calls = []

    def stand_in(root, download):
        calls.append((root, download))
        write_cifar100(tmp_path / 'new', 10000, 200)

    monkeypatch.setattr(torchvision.datasets, 'CIFAR100', stand_in)
    options = [tmp_path / 'new', '--no-check-md5']
    with pytest.raises(SystemExit, match=r'not in order: .* --download'):
        run(*options, name='cifar100')
    run(*options, '--download', name='cifar100')
    argv = ['cifar100', '--data-root', str(tmp_path / 'new'), '--download']
    prepare_data.bring_files(prepare_data.parse_args(argv))  # they are there now
    assert calls == [(str(tmp_path / 'new'), True)]

    def no_network(root, download):
        raise OSError('no route to host')

    monkeypatch.setattr(torchvision.datasets, 'CIFAR100', no_network)
    with pytest.raises(SystemExit, match=f'Next: unpack {CIFAR100LT.URL} into .* yourself'):
        run(tmp_path / 'none', '--download', name='cifar100')
    assert 'could not be fetched: no route to host' in capsys.readouterr().out
