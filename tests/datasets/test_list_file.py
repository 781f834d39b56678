"""List files: what is handled, and errors that name file and line."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmpretrain.registry import DATASETS
from PIL import Image

from rescom_mm.datasets import list_file
from rescom_mm.datasets.list_file import parse_list, read_class_names
from rescom_mm.utils import count_classes

CLASSES = 4


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp('data')
    for name in ('a.jpg', 'b.jpg', 'größe 1.jpg', 'tab\there.jpg', '\u3000wide\u3000.jpg'):
        Image.new('RGB', (4, 4)).save(folder / name)
    return folder


@pytest.fixture
def said(monkeypatch):
    lines = []
    monkeypatch.setattr(list_file, 'print_log', lambda line, **options: lines.append(line))
    return lines


def read(root, content, **options):
    (root / 'list.txt').write_bytes(content if isinstance(content, bytes) else content.encode())
    dataset = DATASETS.build(dict(type='OwnImages', data_root=str(root), ann_file='list.txt',
                                  serialize_data=False,  # that collects garbage
                                  **{'classes': ['w', 'x', 'y', 'z'], **options}))
    found = [dataset.get_data_info(i) for i in range(len(dataset))]
    return [(item['img_path'].removeprefix(f'{root}/'), item['gt_label']) for item in found]


def test_what_is_handled(root):
    assert read(root, 'a.jpg 0\nb.jpg 3\n') == [('a.jpg', 0), ('b.jpg', 3)]
    expected = [('größe 1.jpg', 0), ('b.jpg', 3)]
    for content in ('größe 1.jpg 0\nb.jpg 3', '\n\n größe 1.jpg  0 \n\t\nb.jpg 3\n\n',
                    'größe 1.jpg 0\r\nb.jpg 3\r\n', 'größe 1.jpg 0\rb.jpg 3\r',
                    'größe 1.jpg\t0\nb.jpg \t 03\n', '\ufeffgröße 1.jpg 0\nb.jpg 3'):
        assert read(root, content) == expected, content
    assert read(root, 'tab\there.jpg 1') == [('tab\there.jpg', 1)]
    # unusual blanks are part of a name, at its start and end too
    assert read(root, '\u3000wide\u3000.jpg 1') == [('\u3000wide\u3000.jpg', 1)]
    assert read(root, 'x\u2028y\x85z.jpg 1\na.jpg 2') == [('x\u2028y\x85z.jpg', 1), ('a.jpg', 2)]
    assert read(root, f'{root}/a.jpg 1') == [('a.jpg', 1)]  # absolute
    assert read(root, 'a.jpg 7', classes=None) == [('a.jpg', 7)]


@pytest.mark.parametrize('content, message', [
    ('a.jpg 0\nb.jpg', r'list\.txt:2: expected "relative/path label", the label 0 ... 3, got .b'),
    ('a.jpg,0', ':1: expected'),
    ('a.jpg crow', ':1: expected'),
    ('a.jpg 1.0', ':1: expected'),
    ('a.jpg 1_0', ':1: expected'),
    ('a.jpg ٣', ':1: expected'),
    (' 3', ':1: expected'),
    ('x' * 500, r"got 'x{80}\.\.\.'$"),
    ('\r\na.jpg 0\r\n\r\nb.jpg 4\r\n', r':4: label 4 lies outside 0 \.\.\. 3; correct the line'),
    ('a.jpg -1', ':1: label -1 lies outside 0'),
    ('a.jpg ' + '9' * 5000, ':1: label 9{20} lies outside'),
    ('a.jpg 0\nb.jpg 1\na.jpg 2', r":3: 'a\.jpg' has label 2 here and 0 in line 1; keep the one"),
    ('a.jpg 0\nb\0.jpg 1', ':2: a zero byte'),
    ('a.jpg 0\n\ngröße.jpg 1'.encode('latin-1'), r':3: no UTF-8 \(byte 0xf6\); save the file as'),
    ('a.jpg 0\nb.jpg 1'.encode('utf-16'), ':1: no UTF-8'),
    ('a.jpg 0\nb.jpg 1'.encode('utf-16-le'), ':1: a zero byte; .* UTF-16'),
    (' \n\r\n', r'list\.txt lists no image'),
    (b'', r'list\.txt lists no image'),
    ('no.jpg 0\nneither.jpg 1', r'list\.txt:1: .*no\.jpg does not exist nor the 1 after it; is'),
])
def test_errors_name_file_and_line(root, content, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message) as caught:
        read(root, content)
    assert str(root / 'list.txt') in str(caught.value) and '\n' not in str(caught.value)


def test_the_first_image_may_be_missing(root):
    """That is for BadImageHook; the folder is the right one."""
    assert len(read(root, 'gone.jpg 0\na.jpg 1')) == 2


def test_an_image_twice_is_one_image_and_one_warning(root, said):
    items = read(root, 'a.jpg 0\n\nb.jpg 1\na.jpg 0\nb.jpg 1\na.jpg 0')
    assert len(items) == 5 and len(said) == 1
    assert 'list.txt:4: the same image as in line 1 (3 such lines)' in said[0]
    dataset = DATASETS.build(dict(type='OwnImages', data_root=str(root), ann_file='list.txt'))
    counts = count_classes(dataset, 2)
    assert counts.images == (1, 1) and counts.samples == (3, 2)


def test_class_names(tmp_path, root):
    file = tmp_path / 'classes.txt'
    file.write_bytes('\ufeffcrow\r\n zebra finch \r\nöre\r\n\r\n'.encode())
    assert read_class_names(file) == ('crow', 'zebra finch', 'öre')
    dataset = DATASETS.build(dict(type='OwnImages', data_root=str(root), ann_file='list.txt',
                                  classes=str(file)))
    assert dataset.CLASSES == ('crow', 'zebra finch', 'öre')
    for content, message in ((b'a\n\nb\n', r'classes\.txt:2: blank'), (b'', 'lists no class'),
                             (b'a\nb\na', r":3: class 'a' stands in line 1 already"),
                             (b'a\n\xff', r'classes\.txt:2: no UTF-8')):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            read_class_names(file)
    with pytest.raises(FileNotFoundError, match="classes='nowhere' does not exist"):
        DATASETS.build(dict(type='OwnImages', data_root=str(root), classes='nowhere'))


def test_folders_and_lists_without_labels(tmp_path):
    for name in ('crow', 'owl'):
        (tmp_path / name).mkdir()
        Image.new('RGB', (4, 4)).save(tmp_path / name / 'ä 1.png')
    (tmp_path / 'list.txt').write_text('crow/ä 1.png\n')
    build = DATASETS.build
    dataset = build(dict(type='OwnImages', data_root=str(tmp_path)))
    assert dataset.CLASSES == ('crow', 'owl') and dataset.get_gt_labels().tolist() == [0, 1]
    assert len(build(dict(type='OwnImages', data_root=str(tmp_path), ann_file='list.txt',
                          with_label=False))) == 1
    with pytest.raises(ValueError, match=r'classes names 1 classes: The number of subfolders'):
        build(dict(type='OwnImages', data_root=str(tmp_path), classes=['crow']))


PATHS = st.sampled_from(['a.jpg', 'b.jpg', 'größe 1.jpg', 'tab\there.jpg', 'x/../a.jpg', '  a.jpg',
                         '']) | st.text(max_size=6)
LABELS = st.sampled_from(['0', '1', '2', '3', '3', '4', '-1', '', '1.5', 'crow', '9' * 30, '٣']) \
    | st.text(max_size=3)
LINES = st.one_of(
    st.builds('{0}{1}{2}'.format, PATHS, st.sampled_from([' ', '\t', '  ', ',', '', '\u00a0']),
              LABELS).map(str.encode),
    st.sampled_from([b'', b' ', b'a.jpg 0', b'b.jpg 1', b'\0', b'\xff.jpg 0',
                     b'\xef\xbb\xbfa.jpg 0']),
    st.binary(max_size=8))
LISTS = st.builds(lambda lines, end, head, tail: head + end.join(lines) + tail,
                  st.lists(LINES, max_size=8), st.sampled_from([b'\n', b'\r\n', b'\r']),
                  st.sampled_from([b'', b'\xef\xbb\xbf', b'\xff\xfe']),
                  st.sampled_from([b'', b'\n']))


def lines_of(content):
    """As a text editor counts them."""
    return content.replace(b'\r\n', b'\n').replace(b'\r', b'\n').split(b'\n')


def check(root, content):
    """Right, or an error that names file and line; the lines before it have no such fault."""
    try:
        items = read(root, content)
    except (ValueError, FileNotFoundError) as error:
        name, message = str(root / 'list.txt'), str(error)
        if message == f'{name} lists no image':
            assert not any(line.strip(b' \t\xef\xbb\xbf') for line in lines_of(content))
            return
        where = re.match(re.escape(name) + r':(\d+): ', message)
        assert where and '\n' not in message, message
        number = int(where[1])
        lines = lines_of(content.removeprefix(b'\xef\xbb\xbf'))
        assert 1 <= number <= len(lines) and lines[number - 1].strip(b' \t')
        before = b'\n'.join(lines[:number - 1])
        if 'no UTF-8' in message:
            before.decode()
        elif 'a zero byte' in message:
            assert b'\0' not in before and b'\0' in lines[number - 1]
        else:
            assert not before.strip(b' \t\n') or parse_list(before, name, CLASSES)
            if 'does not exist' not in message and 'has label' not in message:
                with pytest.raises(ValueError, match=':1: '):
                    parse_list(lines[number - 1], name, CLASSES)
    else:
        lines = [line.strip(' \t') for line in
                 re.split('\r\n|\r|\n', content.decode('utf-8-sig'))]
        # the label is what stands behind the last blank
        expected = [int(re.split('[ \t]', line)[-1]) for line in lines if line]
        assert [label for _, label in items] == expected
        assert all(0 <= label < CLASSES for label in expected)


@given(LISTS)
@settings(max_examples=100)
def test_malformed_lists(root, content):
    check(root, content)


@pytest.mark.slow
@given(LISTS)
@settings(max_examples=3000)
def test_malformed_lists_thoroughly(root, content):
    check(root, content)


@given(st.lists(st.tuples(st.text(st.characters(exclude_characters='\0\r\n', codec='utf-8'),
                                  min_size=1), st.integers(0, CLASSES - 1)), min_size=1,
                max_size=6))
@settings(max_examples=50)
def test_what_is_written_is_read(items):
    """Any name that a list can hold; a blank at its end is not told from the separator."""
    items = [(path.strip(' \t'), label) for path, label in items if path.strip(' \t')]
    content = ''.join(f'{path} {label}\n' for path, label in items).encode()
    if content.startswith('\ufeff'.encode()):
        return
    if items:
        parsed = parse_list(content, 'list', CLASSES)
        assert [(path, label) for _, path, label in parsed] == items
        assert np.array_equal([number for number, _, _ in parsed], range(1, len(items) + 1))
