"""What mmpretrain does with damaged images and malformed lists."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from mmcv import imfrombytes
from mmcv.transforms import LoadImageFromFile
from mmengine.utils import digit_version
from mmpretrain.registry import DATASETS
from PIL import Image

from tests.engine.test_bad_image_hook import data, options  # noqa: F401
from tests.images import DAMAGES, encode, smooth, write_folders
from tests.runs import train
from tests.stock.parts import stock_options


def damaged(folder, damage):
    """Path of an image that is damaged."""
    suffix, apply = DAMAGES[damage]
    path = write_folders(folder, (1,), np.random.default_rng(0), (suffix,))[0][0]
    apply(path)
    return dict(img_path=str(path))


@pytest.mark.parametrize('damage', [damage for damage in DAMAGES if damage != 'truncated JPEG'])
def test_damaged_image(tmp_path, damage):
    """The loader raises, which ends the run; for an empty file with an error of OpenCV that names
    no file. `ignore_empty=True` is for files that are missing or empty, and changes nothing for
    others."""
    results = damaged(tmp_path, damage)
    with pytest.raises((AssertionError, FileNotFoundError, cv2.error)) as error:
        LoadImageFromFile()(results)
    assert ('class0' in str(error.value)) == (damage != 'zero bytes')
    if damage in ('missing', 'zero bytes'):
        assert LoadImageFromFile(ignore_empty=True)(results) is None
    else:
        with pytest.raises(AssertionError):
            LoadImageFromFile(ignore_empty=True)(results)


def test_truncated_jpeg(tmp_path):
    """OpenCV from 4.11 on gives no image, which ends the run; up to 4.10 one whose missing part has
    wrong colours, and nothing is said."""
    whole = encode(Image.fromarray(smooth(np.random.default_rng(0), 200, 200)), 'JPEG')
    (tmp_path / 'cut.jpg').write_bytes(whole[:len(whole) // 2])
    if digit_version(cv2.__version__) >= digit_version('4.11'):
        with pytest.raises(AssertionError, match='failed to load image'):
            LoadImageFromFile()(dict(img_path=str(tmp_path / 'cut.jpg')))
    else:
        image = LoadImageFromFile()(dict(img_path=str(tmp_path / 'cut.jpg')))['img']
        wrong = abs(image.astype(int) - imfrombytes(whole)).mean(axis=2) > 20
        assert not wrong[:50].any() and wrong[-50:].mean() > 0.5


@pytest.mark.slow
def test_ignore_empty(data):  # noqa: F811
    """With `ignore_empty=True`, in the place of a file that is missing or empty comes any image of
    the data set: in that of a class with 14 images of 300, 95 % are of other classes, 40 % of the
    largest."""
    folder, files = data
    dataset = DATASETS.build(dict(
        type='CustomDataset', data_root=str(folder / 'data'), ann_file='train.txt',
        pipeline=[dict(type='LoadImageFromFile', ignore_empty=True)]))
    index, = (i for i in range(len(dataset))
              if files.get(dataset.get_data_info(i)['img_path']) == 'missing')
    np.random.seed(0)
    labels, failures = [], 0
    while len(labels) < 1000:
        try:
            labels.append(dataset[index]['gt_label'])
        except AssertionError:  # another damaged file was drawn
            failures += 1
    assert dataset.get_data_info(index)['gt_label'] == 4 and failures > 0
    shares = np.bincount(labels) / len(labels)
    assert round(1 - shares[4], 2) == 0.95 and round(shares[0], 2) == 0.40


def stock_training(data):  # noqa: F811
    """The options of :func:`tests.engine.test_bad_image_hook.options`, with stock parts."""
    settings = {**options(data, load='LoadImageFromFile'), **stock_options()}
    for key in ('train', 'val'):
        dataset = dict(settings[f'{key}_dataloader__dataset'], type='CustomDataset')
        dataset['pipeline'] = settings['val_dataloader__dataset']['pipeline']
        settings[f'{key}_dataloader__dataset'] = dataset
    settings.pop('default_hooks__record')
    return settings


@pytest.mark.slow
def test_training(data, tmp_path):  # noqa: F811
    """A data set with 2 % of damaged files: the first one ends the run."""
    with pytest.raises((AssertionError, FileNotFoundError, cv2.error)):
        train(tmp_path / 'run', **stock_training(data))


@pytest.mark.slow
def test_validation(data, tmp_path):  # noqa: F811
    """The run ends, for an empty file with an error that names no file. With `ignore_empty=True`
    (and `test_mode=False`, the default) another image takes its place here too."""
    folder, files = data
    for path in files:  # training is sound
        Path(path).write_bytes(encode(Image.fromarray(smooth(np.random.default_rng(0))), 'PNG'))
    (folder / 'val' / 'class3' / '1.png').write_bytes(b'')
    settings = stock_training(data)
    with pytest.raises(cv2.error):
        train(tmp_path / 'run', **settings)
    settings['val_dataloader__dataset']['pipeline'][0]['ignore_empty'] = True
    assert train(tmp_path / 'again', **settings).iter == 20


LISTS = {
    'no label': ('a.jpg 0\nb.jpg', ValueError), 'comma': ('a.jpg,0', ValueError),
    'name for a label': ('a.jpg crow', ValueError), 'tab': ('a.jpg\t0', ValueError),
    'blank line': ('a.jpg 0\n\nb.jpg 1', ValueError),
    'no UTF-8': ('größe.jpg 1'.encode('latin-1'), UnicodeDecodeError),
    'UTF-16': ('a.jpg 0'.encode('utf-16'), UnicodeDecodeError),
    'label out of range': ('a.jpg 9', [('a.jpg', 9)]), 'negative': ('a.jpg -1', [('a.jpg', -1)]),
    'two labels': ('a.jpg 0\na.jpg 2', [('a.jpg', 0), ('a.jpg', 2)]),
    'byte order mark': ('\ufeffa.jpg 0', [('\ufeffa.jpg', 0)]), 'empty': ('', []),
    'missing paths': ('no.jpg 0', [('no.jpg', 0)]),
    'CRLF': ('a.jpg 0\r\nb.jpg 1\r\n', [('a.jpg', 0), ('b.jpg', 1)]),
    'not ASCII': ('größe.jpg 1', [('größe.jpg', 1)])}


@pytest.mark.parametrize('kind', LISTS)
def test_lists(tmp_path, kind):
    """No label, blank line, tab, comma or other encoding: ValueError (`not enough values to
    unpack`, `invalid literal for int()`) that names neither file nor line. A label out of range or
    below 0, an image under two labels, missing images, an empty list: taken as they are. CRLF and
    names that are not ASCII are handled, a byte order mark is taken for part of the name."""
    content, expected = LISTS[kind]
    (tmp_path / 'list.txt').write_bytes(content if isinstance(content, bytes) else content.encode())
    build = dict(type='CustomDataset', data_root=str(tmp_path), ann_file='list.txt',
                 classes=['w', 'x', 'y', 'z'], serialize_data=False)
    if isinstance(expected, type):
        with pytest.raises(expected) as error:
            DATASETS.build(build)
        assert 'list.txt' not in str(error.value) and 'line' not in str(error.value)
    else:
        dataset = DATASETS.build(build)
        found = [dataset.get_data_info(i) for i in range(len(dataset))]
        assert [(item['img_path'].removeprefix(f'{tmp_path}/'), item['gt_label'])
                for item in found] == expected


def test_modes():
    """Images of 8 or 16 bits a channel are read; TIFF files of 32 bits, integers or floats, give no
    image, which ends the run."""
    for dtype, read in ((np.uint8, True), (np.uint16, True), (np.int32, False),
                        (np.float32, False)):
        content = encode(Image.fromarray(np.full((9, 8), 200, dtype)), 'TIFF')
        assert (imfrombytes(content) is not None) == read
