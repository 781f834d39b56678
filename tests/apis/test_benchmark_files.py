"""tools/data/prepare.py: from a user's folders, lists and annotations to a data_root."""

import json
import shutil
import tarfile
import urllib.error
from pathlib import Path

import pytest

from rescom_mm.apis import benchmark_files, prepare_data
from tests.standin import write_published


@pytest.fixture
def user(tmp_path, monkeypatch):
    """Writes a benchmark's images to user/ and its lists to lists/; returns a runner."""
    def write(name, below='.'):
        cls = prepare_data.LISTS[name]
        facts = write_published(tmp_path / 'user' / below, tmp_path / 'lists', cls.__name__)
        monkeypatch.setattr(cls, 'FACTS', facts)

        def run(*options):
            prepare_data.main([name, '--data-root', str(tmp_path / 'root'), *map(str, options)])
        return run
    return write


def snapshot(folder):
    return {path: (path.lstat().st_mtime_ns, path.is_symlink()) for path in folder.iterdir()}


def links(root):
    return {path.name: str(path.resolve().relative_to(root.parent / 'user'))
            for path in root.iterdir() if path.is_symlink()}


@pytest.mark.parametrize('name, below, given, expected', [
    ('imagenet-lt', '.', ['.'], ['train', 'val']),
    ('imagenet-lt', '.', ['train', 'val'], ['train', 'val']),
    ('imagenet-lt', 'ILSVRC/Data/CLS-LOC', ['.'], ['train', 'val']),
    ('imagenet-lt', 'ILSVRC/Data/CLS-LOC', ['ILSVRC'], ['train', 'val']),
    ('imagenet-lt', 'ILSVRC/Data/CLS-LOC', ['ILSVRC/Data/CLS-LOC'], ['train', 'val']),
    ('places-lt', '.', ['.'], ['train', 'val']),
    ('places-lt', 'places365_standard', ['.'], ['places365_standard']),
    ('places-lt', 'places365_standard', ['places365_standard'], ['train', 'val']),
    ('inat18', '.', ['.'], ['train_val2018']),
    ('inat18', '.', ['train_val2018'], ['train_val2018']),
])
def test_images_are_linked_and_lists_copied(tmp_path, user, capsys, name, below, given, expected):
    run = user(name, below)
    options = ['--images', *(tmp_path / 'user' / folder for folder in given),
               '--lists', tmp_path / 'lists']
    run(*options)
    said = capsys.readouterr().out
    root = tmp_path / 'root'
    assert set(links(root)) == set(expected) and said.count('linked ') == len(expected)
    for link, target in links(root).items():
        assert (tmp_path / 'user' / target).is_dir() and Path(target).name == link
    for file in (tmp_path / 'lists').iterdir():
        assert (root / file.name).read_text() == file.read_text()
    cls = prepare_data.LISTS[name]
    assert len(cls(str(root), split='test')) == 2 * len(cls.METAINFO['classes'])

    before = snapshot(root)
    run(*options)
    said = capsys.readouterr().out
    assert snapshot(root) == before and 'linked ' not in said and 'wrote ' not in said


def test_places_as_torchvision_unpacks_it(tmp_path, user):
    run = user('places-lt')
    base = tmp_path / 'user'
    (base / 'data_256_standard' / 'a').mkdir(parents=True)
    (base / 'train' / 'airfield').rename(base / 'data_256_standard' / 'a' / 'airfield')
    (base / 'val' / 'airfield').rename(base / 'val_256')
    shutil.rmtree(base / 'train')
    shutil.rmtree(base / 'val')
    run('--images', base, '--lists', tmp_path / 'lists')
    assert set(links(tmp_path / 'root')) == {'data_256_standard', 'val_256'}
    (tmp_path / 'root' / 'val_256').unlink()
    (tmp_path / 'val_256').symlink_to((base / 'val_256').rename(base / 'disk'))
    run('--images', tmp_path / 'val_256')
    assert links(tmp_path / 'root')['val_256'] == 'disk'


def test_nothing_is_replaced(tmp_path, user):
    run = user('imagenet-lt')
    root = tmp_path / 'root'
    (root / 'val').mkdir(parents=True)
    (root / 'val' / 'mine.JPEG').touch()
    message = (rf'{root}/val is in the way of a link to {tmp_path}/user/val; nothing was linked.*'
               'Move it away')
    with pytest.raises(SystemExit, match=message):
        run('--images', tmp_path / 'user')
    assert [path.name for path in root.rglob('*')] == ['val', 'mine.JPEG']
    shutil.rmtree(root / 'val')
    (root / 'val').symlink_to(tmp_path / 'gone')
    with pytest.raises(SystemExit, match=message):
        run('--images', tmp_path / 'user')
    (root / 'val').unlink()
    (root / 'val').symlink_to(tmp_path / 'user' / 'val')  # the right one
    (tmp_path / 'other' / 'train').mkdir(parents=True)
    with pytest.raises(SystemExit, match=f'{root}/train is in the way of a link to .*other'):
        run('--images', tmp_path / 'user', tmp_path / 'other')
    run('--images', tmp_path / 'user', tmp_path / 'user', '--lists', tmp_path / 'lists')
    assert links(root) == dict(train='train', val='val')
    for folder, message in ((tmp_path / 'lists', 'lists holds none of train, val; give'),
                            (tmp_path / 'none', 'none is no folder')):
        with pytest.raises(SystemExit, match=message):
            run('--images', folder)


@pytest.mark.parametrize('spelling', ['imagenet-lt_{}.txt', 'sub/ImageNet_LT_{}.txt',
                                      'ImageNet_LT/{}.txt'])
def test_spellings_of_the_lists(tmp_path, user, spelling):
    run = user('imagenet-lt')
    for split in ('train', 'val', 'test'):
        file = tmp_path / 'mine' / spelling.format(split)
        file.parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / 'lists' / f'ImageNet_LT_{split}.txt').rename(file)
    run('--images', tmp_path / 'user', '--lists', tmp_path / 'mine')
    assert (tmp_path / 'root' / 'ImageNet_LT_val.txt').is_file()


def test_other_lists_are_not_taken(tmp_path, user, capsys):
    run = user('places-lt')
    lists = tmp_path / 'lists'
    (lists / 'Places_LT_test.txt').write_text((lists / 'Places_LT_val.txt').read_text() + 'a 0\n')
    (lists / 'Places_LT_train.txt').write_text('no list')
    with pytest.raises(SystemExit, match=r'not in order: train; test\.'):
        run('--images', tmp_path / 'user', '--lists', lists)
    said = capsys.readouterr().out
    assert f'not taken: {lists}/Places_LT_train.txt:1: expected' in said
    assert 'not taken: ' in said and 'images 731 (published: 730), 1 of 365 classes' in said
    assert (tmp_path / 'root' / 'Places_LT_val.txt').is_file()
    assert not (tmp_path / 'root' / 'Places_LT_test.txt').exists()


def annotations(file, change=None):
    """A list as a COCO annotation file, its annotations in another order than its images."""
    entries = [line.split() for line in file.read_text().splitlines()]
    content = dict(images=[dict(id=7 * k, file_name=path) for k, (path, _) in enumerate(entries)],
                   annotations=[dict(id=k, image_id=7 * k, category_id=int(label))
                                for k, (_, label) in enumerate(entries)][::-1])
    if change is not None:
        change(content)
    return json.dumps(content)


@pytest.mark.parametrize('place', ['user', 'root', 'lists'])
def test_inaturalist_lists_from_the_annotations(tmp_path, user, capsys, place):
    run = user('inat18')
    (tmp_path / 'lists').rename(tmp_path / 'kept')
    for folder in ('lists', 'root'):
        (tmp_path / folder).mkdir()
    kept = {split: tmp_path / 'kept' / f'iNaturalist18_{split}.txt' for split in ('train', 'val')}
    (tmp_path / place / 'train2018.json').write_text(annotations(kept['train']))
    (tmp_path / 'val2018.json').write_text(annotations(kept['val']))
    with tarfile.open(tmp_path / place / 'val2018.json.tar.gz', 'w:gz') as archive:
        archive.add(tmp_path / 'val2018.json', 'val2018.json')
    options = ['--images', tmp_path / 'user' / 'train_val2018', '--lists', tmp_path / 'lists']
    run(*options)
    for file in kept.values():
        assert (tmp_path / 'root' / file.name).read_text() == file.read_text()
    before = snapshot(tmp_path / 'root')
    capsys.readouterr()
    run(*options)
    assert snapshot(tmp_path / 'root') == before and 'reading' not in capsys.readouterr().out


@pytest.mark.parametrize('change, message', [
    (lambda content: content['annotations'].pop(), 'no annotation file in COCO format'),
    (lambda content: content.pop('images'), 'no annotation file in COCO format'),
    (lambda content: content['annotations'].append(content['annotations'][0]), 'several labels'),
    (lambda content: content['annotations'][0].update(category_id=-1), 'negative labels'),
    (lambda content: content['images'].clear(), 'no images'),
])
def test_bad_annotations(tmp_path, change, message):
    (tmp_path / 'list.txt').write_text('a/1.jpg 0\na/2.jpg 0\nb/1.jpg 1\n')
    file = tmp_path / 'val2018.json'
    file.write_text(annotations(tmp_path / 'list.txt'))
    assert benchmark_files.coco_entries(file) == [('a/1.jpg', 0), ('a/2.jpg', 0), ('b/1.jpg', 1)]
    file.write_text(annotations(tmp_path / 'list.txt', change))
    with pytest.raises(ValueError, match=rf'{file} .*{message}'):
        benchmark_files.coco_entries(file)


@pytest.mark.parametrize('label, message', [(3, 'not the published val list: 2 of 8142 classes'),
                                            (9000, '9001 classes (published: 8142)')])
def test_other_annotations_are_not_taken(tmp_path, user, capsys, label, message):
    run = user('inat18')
    file = tmp_path / 'lists' / 'iNaturalist18_val.txt'
    (tmp_path / 'lists' / 'val2018.json').write_text(annotations(
        file, lambda content: content['annotations'][0].update(category_id=label)))
    file.unlink()
    with pytest.raises(SystemExit, match='not in order: val; test'):
        run('--images', tmp_path / 'user', '--lists', tmp_path / 'lists')
    said = capsys.readouterr().out
    assert 'not taken: ' in said and message in said


def test_broken_archives_are_not_taken(tmp_path):
    for content in (b'', b'no archive', b'\x1f\x8b\x08\x00' + bytes(20)):
        (tmp_path / 'train2018.json.tar.gz').write_bytes(content)
        with pytest.raises(ValueError, match='no annotation file'):
            benchmark_files.coco_entries(tmp_path / 'train2018.json.tar.gz')


@pytest.mark.parametrize('name', list(prepare_data.LISTS))
def test_download(tmp_path, user, monkeypatch, capsys, name):
    run = user(name)
    fetched = []

    def fetch(url, file):
        fetched.append(url)
        source = tmp_path / 'lists' / Path(file).name
        if not source.exists():  # iNaturalist's archive
            split = source.name.split('2018')[0]
            text = annotations(tmp_path / 'lists' / f'iNaturalist18_{split}.txt')
            (tmp_path / 'ann.json').write_text(text)
            with tarfile.open(file, 'w:gz') as archive:
                archive.add(tmp_path / 'ann.json', source.name[:-len('.tar.gz')])
        else:
            shutil.copy(source, file)

    monkeypatch.setattr(benchmark_files, 'download_url_to_file', fetch)
    run('--images', tmp_path / 'user', '--download')
    assert fetched == list(prepare_data.LISTS[name].URLS.values())
    assert all(url.startswith('https://') for url in fetched)
    run('--images', tmp_path / 'user', '--download')  # they are there now
    assert len(fetched) == len(prepare_data.LISTS[name].URLS)
    assert 'all in order' in capsys.readouterr().out


def test_download_without_a_network(tmp_path, user, monkeypatch, capsys):
    run = user('places-lt')
    tried = []

    def no_network(url, file):
        tried.append(url)
        raise urllib.error.URLError('no route to host')

    monkeypatch.setattr(benchmark_files, 'download_url_to_file', no_network)
    with pytest.raises(SystemExit, match=r'Next: put https.*_train\.txt, https.* '
                       r'into .*root yourself, then python tools/data/prepare\.py'):
        run('--images', tmp_path / 'user', '--download')
    assert len(tried) == 1  # and not once for each list
    assert 'could not be fetched: <urlopen error no route to host>' in capsys.readouterr().out
    assert set(links(tmp_path / 'root')) == {'train', 'val'}
