"""tools/data/inspect.py: what it says, and what it writes."""

import re

import numpy as np
import pytest
from mmengine.config import Config
from mmpretrain.registry import DATASETS
from PIL import Image

from rescom_mm.apis.own_images import config, inspect_data, split_data
from rescom_mm.apis.own_images.sizes import suggest_sizes
from tests.own_images import write_own_images
from tests.runs import ROOT, TINY
from tests.standin import write_folders

R50 = str(ROOT / 'configs' / 'rescom' / 'rescom_r50_custom.py')


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with a small base config, which is built in no time."""
    (tmp_path / 'base.py').write_text(f'''
_base_ = {R50!r}
model = dict(backbone=dict(_delete_=True, type='ResNet_CIFAR', depth=18, stem_channels=8,
                           base_channels=8), head=dict(in_channels=64),
             projector=dict(in_channels=64, hid_channels=16, out_channels=16))
''')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def inspect(capsys, *argv, base='base.py'):
    inspect_data.main([*map(str, argv), '--base', base, '--workers', '2'])
    return capsys.readouterr().out


@pytest.mark.parametrize('classes, median, expected', [
    (1000, 50, (4, 1, 500)),  # ImageNet-LT, as in the paper
    (365, 60, (11, 1, 500)),
    (8142, 10, (1, 1, 500)),
    (100, 5, (10, 1, 396)),  # CIFAR-100-LT has K=10, K-=400
    (10, 500, (100, 1, 360)), (2, 500, (100, 1, 40)), (2, 1, (2, 1, 1)), (3, 0.5, (1, 1, 1))])
def test_sizes(classes, median, expected):
    assert tuple(suggest_sizes(classes, median)) == expected


def test_own_images(here, capsys):
    counts, broken = write_own_images('data/my birds', classes=20, largest=30)
    said = inspect(capsys, 'data/my birds')
    assert f'20 classes; images: {sum(counts.values()) - len(broken)} train, none apart' in said
    for name, count in counts.items():
        bad = sum(path.startswith(f'{name}/') for path in broken)
        shown = re.search(re.escape(name) + r' +(\d+)  (many|medium|few) ', said)
        assert int(shown[1]) == count - bad and shown[2] == ('few', 'medium')[count - bad > 19]
    assert f'{len(broken)} images cannot be read and are left out' in said
    assert 'imbalance factor ' in said and '16-bit grey' in said and 'CMYK' in said
    assert "1 image of more than 20 million pixels" in said and 'odd huge.jpg' in said
    assert '1 image more than 20 times as long as wide' in said
    assert re.search(r'classes? \([^)]*class 19\) with 1 image: it is trained on, and none', said)
    assert 'files left out for their ending: 1 .txt' in said
    assert re.search(r'queue \d+ bytes', said) and re.search(r'weights \d+ bytes', said)
    assert "next: python tools/data/split.py 'data/my birds'\n" in said
    lines = (here / 'data/my birds/unreadable_images.txt').read_text().splitlines()
    assert sorted(line.split('\t')[0] for line in lines) == sorted(broken)
    assert (here / 'work_dirs/my_birds/class_counts.png').read_bytes().startswith(b'\x89PNG')

    split_data.main(['data/my birds'])
    assert 'next: python tools/train.py my_birds.py\n' in capsys.readouterr().out
    cfg = Config.fromfile('my_birds.py')
    assert cfg.model.head.num_classes == 20
    train, test = (DATASETS.build(dict(cfg[f'{name}_dataloader'].dataset, pipeline=[]))
                   for name in ('train', 'test'))
    assert train.CLASSES == test.CLASSES and len(train) + len(test) + len(broken) == sum(
        counts.values())
    # again, of the lists: the config stays, and what is missing to test on is said
    said = inspect(capsys, 'data/my birds')
    assert sorted(lines) == sorted((here / 'data/my birds/unreadable_images.txt').read_text()
                                   .splitlines())
    assert 'in none of the lists' not in said and 'the lists in data/my birds hold' not in said
    assert 'the lists in data/my birds; 20 classes' in said
    assert 'without a test image: trained, but not measured' in said
    assert 'the test set is not balanced' in said
    assert 'next: python tools/train.py my_birds.py\n' in said


def test_lists_that_are_older_than_the_images(here, capsys):
    write_folders(here / 'birds', crow=5, owl=5)
    split_data.main(['birds'])
    (here / 'birds' / 'crow' / '1.png').write_text('broken')
    write_folders(here / 'more', owl=2)
    for name in ('0.png', '1.png'):
        (here / 'more' / 'owl' / name).rename(here / 'birds' / 'owl' / f'new {name}')
    said = inspect(capsys, 'birds')
    assert 'the lists in birds hold images that cannot be read: write them anew with' in said
    assert '2 images are in none of the lists in birds; split.py --force' in said
    with pytest.raises(SystemExit, match=r'is there already, with another content; .*--force'):
        split_data.main(['birds'])
    split_data.main(['birds', '--force'])
    said = inspect(capsys, 'birds')
    assert 'images: 6 train, 5 test\n' in said
    assert 'the lists in birds hold' not in said and 'in none of the lists' not in said


def test_files_are_not_written_over(here, capsys):
    write_folders(here / 'birds' / 'train', crow=4, owl=3)
    write_folders(here / 'birds' / 'test', crow=1)
    (here / 'birds' / 'train.txt').write_text('mine')
    (here / 'birds.py').write_text((here / 'base.py').read_text() + '# mine\n')
    said = inspect(capsys, 'birds')
    assert 'left as they are, with another content than now: birds.py, birds/train.txt' in said
    assert (here / 'birds' / 'train.txt').read_text() == 'mine'
    assert '# mine' in (here / 'birds.py').read_text()
    assert (here / 'birds' / 'classes.txt').read_text() == 'crow\nowl\n'
    said = inspect(capsys, 'birds', '--force')
    assert 'left as they are' not in said and '# mine' not in (here / 'birds.py').read_text()
    assert (here / 'birds' / 'train.txt').read_text().startswith('train/crow/0.png 0\n')
    assert "1 class (owl) without a test image" in said
    assert 'left as they are' not in inspect(capsys, 'birds')  # the same again


def test_same_files_and_almost_the_same_names(here, capsys):
    write_folders(here / 'x' / 'train', crow=3, owl=3, Great_tit=1, **{'great tit': 1})
    (here / 'x' / 'test' / 'crow').mkdir(parents=True)
    pictures = here / 'x' / 'train'
    for other in ('train/owl/0.png', 'test/crow/1.png', 'train/crow/again.png'):
        (here / 'x' / other).write_bytes((pictures / 'crow' / '0.png').read_bytes())
    said = inspect(capsys, 'x')
    assert "same file under two classes, one of them wrong (1 time): 'train/owl/0.png'" in said
    assert 'the same file to train and to test on' in said and "'test/crow/1.png' and" in said
    assert "the same file twice in a class (1 time): 'train/crow/again.png'" in said
    assert "classes 'Great_tit', 'great tit' have almost the same name" in said


def test_without_decoding_only_missing_files_are_found(here, capsys):
    write_folders(here / 'images', crow=3, owl=3)
    (here / 'images' / 'crow' / '1.png').write_text('broken')
    (here / 'all.txt').write_text(
        'crow/0.png 0\ncrow/1.png 0\ncrow/2.png 0\nowl/0.png 1\nowl/9.png 1\n')
    argv = ['all.txt', '--images', 'images', '--config', 'sub/x.py']
    said = inspect(capsys, *argv, '--no-decode')
    assert "1 image cannot be read and is left out: 'owl/9.png' (does not exist)" in said
    assert ('next: python tools/data/split.py all.txt --images images --config sub/x.py\n' in said)
    assert 'crow/1.png' in inspect(capsys, *argv)
    assert '3 train' in inspect(capsys, *argv, '--no-decode')  # the broken one is known by now
    split_data.main(argv)
    assert 'next: python tools/train.py sub/x.py' in capsys.readouterr().out
    assert (here / 'all_split' / 'classes.txt').read_text() == '0\n1\n'


def test_thousands_of_classes(here, capsys):
    for k in range(3000):
        (here / 'many' / f'{k:04}').mkdir(parents=True)
        Image.fromarray(np.zeros((1, 1), np.uint8)).save(here / 'many' / f'{k:04}' / '0.png')
    with pytest.raises(SystemExit, match='no class has two images'):
        split_data.main(['many'])
    for k in range(5):
        Image.fromarray(np.full((1, 1), k, np.uint8)).save(here / 'many' / '0007' / f'x{k}.png')
    said = inspect(capsys, 'many', '--no-decode')
    assert '... 2970 classes between (--all-classes shows them)' in said
    assert '2999 classes (0000, 0001, 0002, 0003, 0004, and 2994 more) with 1 image' in said
    assert 'keys_per_class=1 (a queue of 3000 keys), num_positives=1, num_negatives=400' in said


def test_the_base_is_found_from_everywhere(here, capsys):
    """Relative within the checkout, absolute from elsewhere."""
    assert config.find_base(None) == ROOT / 'configs/rescom/rescom_r50_custom.py'
    write_folders(here / 'data' / 'x', crow=3, owl=3)
    (here / 'checkout' / 'configs').mkdir(parents=True)
    (here / 'checkout' / 'configs' / 'b.py').write_text((here / 'base.py').read_text())
    for name, expected in (('x.py', f'{here}/checkout/configs/b.py'),
                           ('checkout/x.py', 'configs/b.py'),
                           ('checkout/configs/mine/x.py', '../b.py')):
        inspect(capsys, 'data/x', '--config', name, base='checkout/configs/b.py')
        assert f'_base_ = {expected!r}\n' in (here / name).read_text()
        assert Config.fromfile(name).model.head.num_classes == 2


def test_the_base_of_an_installed_package(tmp_path, monkeypatch):
    """The wheel has the configs in it."""
    monkeypatch.setattr(config, 'project_folder', lambda: tmp_path)
    with pytest.raises(FileNotFoundError, match=r'rescom_r50_custom\.py does not exist; give --b'):
        config.find_base(None)
    inside = tmp_path / 'configs/rescom/rescom_r50_custom.py'
    inside.parent.mkdir(parents=True)
    inside.touch()
    assert config.find_base(None) == inside


@pytest.mark.parametrize('name', ['{{ fileBasename }}', "{{{$HOME:x}}'", "'{{_base_.model}}\"",
                                  'a\\x7b'])
def test_a_name_stays_text_in_the_config(here, capsys, name):
    """mmengine puts something else in the place of some names in braces."""
    write_folders(here / name, crow=3, owl=3)
    inspect(capsys, name, '--config', 'x.py')
    split_data.main([name])
    cfg = Config.fromfile('x.py')
    assert cfg.data_root == str(here / name)
    assert len(DATASETS.build(dict(cfg.train_dataloader.dataset, pipeline=[]))) == 4


def test_names_of_configs(tmp_path):
    for folder, name in (('größe 1', 'gr_e_1.py'), ('鳥', 'own_images.py'), ('-x-', 'x.py')):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / 'all.txt').touch()
        for source in (tmp_path / folder, tmp_path / folder / 'all.txt'):
            assert config.config_name(source) == name


@pytest.mark.parametrize('argv, message', [
    (['nowhere'], 'nowhere does not exist'),
    (['x', '--base', 'none.py'], r'none\.py'),
    (['x', '--base', str(TINY)], 'is not for own images, or has no queue; give a config that'),
    (['x', '--out', 'file/sub'], 'file'),
    (['split'], 'class crow has no training image'),
    (['outside'], r"metadata\.csv:3: 'crow/\.\./\.\./x/owl/0\.png' lies outside outside; move"),
    (['absolute'], 'metadata.csv:2: .* lies outside absolute; move')])
def test_errors_are_one_line(here, argv, message):
    write_folders(here / 'x', crow=3, owl=3)
    (here / 'file').touch()
    write_folders(here / 'outside', crow=3)
    for folder, rows in (
            ('split/train', []), ('split/test', []), ('absolute', [f'{here}/x/crow/0.png,a']),
            ('split', ['test/0.png,crow', 'test/1.png,owl']),
            ('outside', ['crow/../crow/0.png,a', 'crow/../../x/owl/0.png,b'])):
        (here / folder).mkdir(parents=True, exist_ok=True)
        if rows:
            (here / folder / 'metadata.csv').write_text('\n'.join(['file_name,label', *rows]))
    with pytest.raises(SystemExit, match=message) as error:
        inspect_data.main([*argv, '--no-decode'])
    assert '\n' not in str(error.value)
