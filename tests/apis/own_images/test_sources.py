"""Folders, lists and imagefolder layouts: what is read, and what is refused in one line."""

import argparse
import json

import pytest

from rescom_mm.apis.own_images.sources import add_source_options, find_source


def touch(folder, *paths):
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()


def source(*argv):
    parser = argparse.ArgumentParser()
    add_source_options(parser)
    return find_source(parser.parse_args([str(word) for word in argv]))


def parts(found):
    """Part -> {path: class name}."""
    return {name: {path: found.classes[label] for path, label
                   in zip(part.paths, part.labels.tolist())}
            for name, part in found.parts.items()}


def test_class_folders(tmp_path):
    touch(tmp_path, 'owl/b.JPG', 'owl/deep/a, "b".png', 'crow/-x.jpeg', 'crow/.hidden.png',
          'crow/.cache/y.png', 'crow/notes.txt', 'crow/photo.heic', '.git/z.png', 'top.png')
    (tmp_path / 'wren').symlink_to(tmp_path / 'owl')
    (tmp_path / 'owl' / 'deep' / 'round').symlink_to(tmp_path / 'owl')
    found = source(tmp_path)
    assert found.classes == ('crow', 'owl', 'wren') and not found.is_split
    assert parts(found) == dict(train={
        'crow/-x.jpeg': 'crow', 'owl/b.JPG': 'owl', 'owl/deep/a, "b".png': 'owl',
        'wren/b.JPG': 'wren', 'wren/deep/a, "b".png': 'wren'})
    assert found.left_out == {'.txt': 1, '.heic': 1}
    assert found.counts().tolist() == [1, 2, 2]


def test_numbers_as_class_names_are_in_their_order(tmp_path):
    touch(tmp_path, '10/a.png', '9/a.png', '2/a.png')
    assert source(tmp_path).classes == ('2', '9', '10')


def test_a_class_may_be_called_train(tmp_path):
    touch(tmp_path, 'train/a.png', 'bus/a.png')
    assert source(tmp_path).classes == ('bus', 'train')


@pytest.mark.parametrize('names, expected', [
    (('train', 'test'), ['train', 'test']), (('Training', 'valid'), ['train', 'test']),
    (('train', 'dev', 'evaluation'), ['train', 'val', 'test']), (('train',), ['train'])])
def test_split_folders(tmp_path, names, expected):
    for name in names:
        touch(tmp_path, f'{name}/owl/{name}.png')
    touch(tmp_path, f'{names[0]}/crow/x.png')  # no test image of it
    found = source(tmp_path)
    assert found.classes == ('crow', 'owl') and list(found.parts) == expected
    assert found.is_split == (len(names) > 1)
    by_split = parts(found)
    for name, split in zip(names, expected):
        assert by_split[split][f'{name}/owl/{name}.png'] == 'owl'


def test_metadata(tmp_path):
    touch(tmp_path, 'a, b.png', '2.png', 'more/3.png')
    rows = [('a, b.png', 'great tit'), ('2.png', 'owl'), ('more/3.png', 'owl')]
    expected = dict(train=dict(rows))
    (tmp_path / 'metadata.csv').write_bytes(
        '\ufefflabel,file_name,size\r\ngreat tit,"a, b.png",7\r\nowl,2.png,\r\nowl,more/3.png,8\r\n'
        .encode())
    assert parts(source(tmp_path)) == expected
    (tmp_path / 'metadata.csv').unlink()
    (tmp_path / 'metadata.jsonl').write_text(''.join(
        json.dumps(dict(file_name=path, bird=name)) + '\n' for path, name in rows) + '\n')
    assert parts(source(tmp_path, '--label-column', 'bird')) == expected
    with pytest.raises(ValueError, match=r"jsonl:1: no column 'label' \(there are: file_name, bir"):
        source(tmp_path)


def test_metadata_of_splits(tmp_path):
    """A file in each split, or one above them; one split may have class folders."""
    touch(tmp_path, 'train/a.png', 'train/b.png', 'test/9/c.png')
    (tmp_path / 'train' / 'metadata.csv').write_text('file_name,label\na.png,10\nb.png,9\n')
    found = source(tmp_path)
    expected = dict(train={'train/a.png': '10', 'train/b.png': '9'}, test={'test/9/c.png': '9'})
    assert found.classes == ('9', '10') and parts(found) == expected
    (tmp_path / 'metadata.jsonl').write_text(''.join(json.dumps(dict(
        file_name=path, label=int(name))) + '\n' for part in expected.values()
        for path, name in part.items()))
    assert parts(source(tmp_path)) == expected


def test_lists(tmp_path):
    touch(tmp_path, 'images/a b.png', 'images/c.png', 'images/d.png')
    (tmp_path / 'all.txt').write_text('a b.png 1\nc.png 0\na b.png 1\n')
    found = source(tmp_path / 'all.txt', '--images', tmp_path / 'images')
    assert parts(found) == dict(train={'a b.png': '1', 'c.png': '0'})  # each once
    (tmp_path / 'classes.txt').write_text('crow\nowl\n')
    (tmp_path / 'test.txt').write_text(f'{tmp_path}/images/d.png 1\n')
    found = source(tmp_path / 'all.txt', '--images', tmp_path / 'images', '--classes',
                   tmp_path / 'classes.txt', '--test', tmp_path / 'test.txt')
    assert found.is_split and parts(found)['test'] == {f'{tmp_path}/images/d.png': 'owl'}


def csv(text):
    return {'metadata.csv': text, 'a.png': ''}


@pytest.mark.parametrize('files, message', [
    ({'train/a/x.png': '', 'test/a/x.png': '', 'more/x.png': ''},
     'holds train, test, and beside them more: move these away'),
    ({'train/a/x.png': '', 'training/a/x.png': ''}, r'two folders of one split \(train, training'),
    ({'test/a/x.png': ''}, 'holds test, but no folder train'),
    ({'train/a/x.png': '', 'train/b/x.png': '', 'test/c/x.png': ''},
     r'class c has no training image \(1 such classes\)'),
    ({'a/x.png': ''}, r'one class only \(a\)'),
    ({'a/x.png': '', 'b/x.txt': '', 'c/y': ''}, r'b \(and 1 more class folders\) holds no image'),
    ({'x.png': ''}, 'holds no class folders'),
    (csv('file_name,label\na.png,x\na.png,y\n'), r"csv:3: 'a.png' has label 'y' here and 'x' in"),
    (csv('file_name,label\na.png,\n'), r"csv:2: label must be one name or whole number, got ''"),
    (csv('file_name,label\na.png\n'), r'csv:2: label must be one name .* got None'),
    (csv('file_name,label\na.png,x,y\n'), r'csv:2: more values than column names'),
    (csv('file_name,label\n'), 'csv lists no image'),
    (csv(b'file_name,label\n\xff.png,x'), 'csv: no UTF-8'),
    (csv('name,label\na.png,x\n'), r"csv:2: no column 'file_name' \(there are: name, label\)"),
    (csv('file_name,label\nb.png,x\nc.png,y\n'), 'csv: none of the first 2 images exists, such as'),
    ({'metadata.jsonl': '{"file_name": "a.png", "label": [1]}', 'a.png': ''},
     r'jsonl:1: label must be one name or whole number, got \[1\]'),
    ({'metadata.jsonl': '\n7\n'}, 'jsonl:2: expected a JSON object, got 7'),
    ({'metadata.jsonl': '{'}, 'jsonl:1: no JSON object: '),
    ({**csv('file_name,label\na.png,x\n'), 'train/a.png': '', 'test/a.png': ''},
     "'a.png' of the metadata file lies in none of train, test"),
])
def test_refused_in_one_line(tmp_path, files, message):
    for name, content in files.items():
        touch(tmp_path, name)
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises((ValueError, FileNotFoundError), match=message) as error:
        source(tmp_path)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('text, options, message', [
    ('a.png 0\nb.png 2\n', (), 'class 1 has no training image'),
    ('a.png 0\na.png 1\n', (), 'all.txt:2: .* has label 1 here and 0 in line 1'),
    ('x.png 0\ny.png 1\n', (), r'none of the first 2 images exists.*--images FOLDER'),
    ('a.png 0\nb.png 1\n', ('--test', 'none.txt'), 'none.txt does not exist; give the list of the'),
])
def test_lists_refused(tmp_path, text, options, message):
    touch(tmp_path, 'a.png', 'b.png')
    (tmp_path / 'all.txt').write_text(text)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        source(tmp_path / 'all.txt', *options)
    with pytest.raises(FileNotFoundError, match='does not exist; give the folder that holds'):
        source(tmp_path / 'nowhere')


def test_a_class_may_not_lose_its_last_image(tmp_path):
    touch(tmp_path, 'crow/a.png', 'owl/a.png', 'owl/b.png')
    found = source(tmp_path)
    assert found.without(['owl/a.png']).counts().tolist() == [1, 1]
    with pytest.raises(ValueError, match='none of the 2 training images of class owl can be read'):
        found.without(['owl/a.png', 'owl/b.png'])
