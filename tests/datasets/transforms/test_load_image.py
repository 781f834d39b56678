"""LoadImage: the present loader's pixels on good files, an error on all others."""

import errno
import os
import pickle

import cv2
import numpy as np
import pytest
from mmcv.transforms import LoadImageFromFile
from mmengine import fileio
from mmpretrain.registry import TRANSFORMS
from PIL import Image, features

from rescom_mm.datasets import LoadImage, UndecodableImage
from rescom_mm.datasets.transforms.load_image import _jpeg_is_whole, decode_image
from tests.images import DAMAGES, encode, smooth

RGB = Image.fromarray(smooth(np.random.default_rng(0), 40, 50))


def load(path, **options):
    return TRANSFORMS.build(dict(type='LoadImage', **options))({'img_path': str(path)})


def with_orientation(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


@pytest.mark.parametrize('file_format, options, mode', [
    ('JPEG', dict(quality=90), 'RGB'), ('JPEG', dict(progressive=True), 'RGB'),
    ('JPEG', dict(restart_marker_blocks=2), 'RGB'), ('JPEG', {}, 'L'), ('JPEG', {}, 'CMYK'),
    ('JPEG', dict(subsampling=0, optimize=True), 'RGB'),
    *(('JPEG', dict(exif=with_orientation(value)), 'RGB') for value in range(1, 9)),
    ('PNG', {}, 'RGB'), ('PNG', {}, 'P'), ('PNG', {}, 'RGBA'), ('PNG', {}, 'LA'), ('PNG', {}, '1'),
    ('PNG', dict(exif=with_orientation(6)), 'RGB'), ('BMP', {}, 'RGB'), ('PPM', {}, 'RGB'),
    ('WEBP', dict(lossless=True), 'RGB'), ('TIFF', dict(compression='tiff_lzw'), 'RGB'),
])
def test_pixels_of_the_present_loader(tmp_path, file_format, options, mode):
    """Orientation included: OpenCV turns a picture upright by its EXIF data, and so does this."""
    (tmp_path / 'a').write_bytes(encode(RGB.convert(mode), file_format, **options))
    ours, stock = load(tmp_path / 'a'), LoadImageFromFile()({'img_path': str(tmp_path / 'a')})
    assert ours.keys() == stock.keys()
    assert ours['img_shape'] == ours['ori_shape'] == stock['img_shape']
    assert ours['img'].dtype == np.uint8 and ours['img'].flags['C_CONTIGUOUS']
    np.testing.assert_array_equal(ours['img'], stock['img'])


def test_sixteen_bits_keep_their_upper_eight(tmp_path):
    values = np.random.default_rng(0).integers(0, 65536, (9, 8), dtype=np.uint16)
    for suffix in ('.png', '.pgm', '.tiff'):
        cv2.imwrite(str(tmp_path / f'grey{suffix}'), values)
        image = load(tmp_path / f'grey{suffix}')['img']
        np.testing.assert_array_equal(image, np.repeat((values >> 8)[..., None], 3, axis=2))
    colours = np.random.default_rng(0).integers(0, 65536, (9, 8, 3), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / 'colours.png'), colours)
    np.testing.assert_array_equal(load(tmp_path / 'colours.png')['img'], colours >> 8)


@pytest.mark.parametrize('values, expected', [
    (np.array([[0, 200], [255, 3]], np.int32), [[0, 200], [255, 3]]),
    (np.array([[0, 256], [65535, 511]], np.int32), [[0, 1], [255, 1]]),
    (np.array([[0, 1 << 24], [2**31 - 1, 5]], np.int32), [[0, 1], [127, 0]]),
    (np.array([[-7, 300], [2, 256]], np.int32), [[0, 1], [0, 1]]),
    (np.array([[0, .5], [1, .25]], np.float32), [[0, 128], [255, 64]]),
    (np.array([[0, 200.7], [255, np.nan]], np.float32), [[0, 200], [255, 0]]),
    (np.array([[0, 0], [0, np.inf]], np.float32), [[0, 0], [0, 0]]),
])
def test_integers_and_floats(values, expected):
    image = decode_image(encode(Image.fromarray(values), 'TIFF'))
    np.testing.assert_array_equal(image[..., 0], expected)


def test_every_mode_becomes_rgb():
    """In a format that keeps the mode; colours without transparency, as the present loader has."""
    for mode in ('1', 'L', 'LA', 'P', 'RGBA', 'RGBX', 'CMYK'):
        image = decode_image(encode(RGB.convert(mode), 'TIFF'))
        assert image.shape == (40, 50, 3) and image.dtype == np.uint8 and image.std() > 5, mode
    palette = RGB.quantize(16)
    colours = np.asarray(palette.convert('RGB'))[..., ::-1]
    for transparency in (3, bytes(range(16))):
        for file_format in ('PNG', 'GIF') if transparency == 3 else ('PNG',):
            np.testing.assert_array_equal(
                decode_image(encode(palette, file_format, transparency=transparency)), colours)


FORMATS = {'JPEG': {}, 'progressive': dict(progressive=True), 'PNG': {}, 'WEBP': {}, 'GIF': {},
           'BMP': {}, 'PPM': {}, 'TIFF': {}, 'LZW': dict(compression='tiff_lzw'), 'JPEG2000': {},
           'AVIF': {}, 'thumbnail': {}, 'TGA': {}}


@pytest.mark.parametrize('name', FORMATS)
def test_cut_anywhere(name, monkeypatch):
    """At every byte: an error, or, where only an end mark is lost, the same pixels."""
    file_format = {'progressive': 'JPEG', 'LZW': 'TIFF', 'thumbnail': 'JPEG'}.get(name, name)
    feature = dict(WEBP='webp', AVIF='avif', JPEG2000='jpg_2000').get(file_format)
    if feature and not features.check(feature):
        pytest.skip(f'Pillow without {file_format}')
    image = RGB.resize((12, 10)) if file_format in ('GIF', 'BMP', 'PPM', 'TIFF', 'TGA') else RGB
    options = dict(FORMATS[name])
    if name == 'thumbnail':  # a whole JPEG inside: its end is not the file's
        options['exif'] = b'Exif\0\0' + encode(RGB.resize((9, 9)), 'JPEG')
    data = encode(image, file_format, **options)
    whole = decode_image(data)
    # OpenCV before 5 fills a truncated JPEG with grey
    monkeypatch.setattr(cv2, 'imdecode', lambda *args: pytest.fail('decoded a truncated file'))
    survived = []
    for length in range(len(data)):
        try:
            np.testing.assert_array_equal(decode_image(data[:length]), whole)
            survived.append(length)
        except ValueError as error:
            assert str(error)
    assert len(survived) <= {'GIF': 2, 'BMP': 2, 'TGA': 26}.get(file_format, 0), survived


def test_where_a_jpeg_ends():
    data = encode(RGB, 'JPEG', exif=b'Exif\0\0' + encode(RGB.resize((9, 9)), 'JPEG'))
    assert _jpeg_is_whole(data) and _jpeg_is_whole(data + b'appended')
    assert not _jpeg_is_whole(data[:-1])
    at_thumbnail = data.index(b'\xff\xd9') + 2
    assert at_thumbnail < len(data) and not _jpeg_is_whole(data[:at_thumbnail])
    np.testing.assert_array_equal(decode_image(data + b'appended'), decode_image(data))
    np.testing.assert_array_equal(decode_image(data + data[:-99]), decode_image(data))
    zero_tail = data[:-200] + bytes(200)
    with pytest.raises(ValueError, match='truncated'):
        decode_image(zero_tail)


def test_a_png_with_a_wrong_checksum():
    data = bytearray(encode(RGB, 'PNG'))
    for at in range(8, len(data) - 12, 7):  # before the last chunk, which is empty
        damaged = data.copy()
        damaged[at] ^= 4
        with pytest.raises(ValueError, match=r'\w'):
            decode_image(bytes(damaged))


@pytest.mark.parametrize('damage', DAMAGES)
def test_the_error_names_file_and_reason(tmp_path, damage):
    suffix, apply = DAMAGES[damage]
    path = tmp_path / f'größe 1{suffix}'
    RGB.save(path)
    apply(path)
    reason = {'zero bytes': 'is empty', 'missing': 'No such file', 'text': r"b'<html>40'",
              'flipped header': 'no image'}.get(damage, 'truncated')
    with pytest.raises(UndecodableImage, match=f'größe 1{suffix}.* cannot be .*{reason}') as caught:
        load(path)
    assert isinstance(caught.value, ValueError)
    copy = pickle.loads(pickle.dumps(caught.value))  # as it comes out of a worker
    assert str(copy) == str(caught.value) and copy.reason == caught.value.reason
    assert caught.value.reason in str(copy) and 'größe' not in copy.reason


def test_reading(tmp_path, monkeypatch):
    with pytest.raises(UndecodableImage, match='Is a directory'):
        load(tmp_path)
    if os.geteuid():  # root may read all
        path = tmp_path / 'mine.png'
        RGB.save(path)
        path.chmod(0)
        with pytest.raises(UndecodableImage, match='Permission denied'):
            load(path)
    with pytest.raises(UndecodableImage, match='null byte'):
        load('a\0b.jpg')
    with pytest.raises(UndecodableImage, match=r"'\\udcff.jpg'"):  # a name that is no UTF-8
        load('\udcff.jpg')

    seen = {}

    def get(path, backend_args):
        seen.update(backend_args)
        return memoryview(encode(RGB, 'PNG'))  # as memcached gives it

    monkeypatch.setattr(fileio, 'get', get)
    assert load('x', backend_args=dict(backend='memcached'))['img'].shape == (40, 50, 3)
    assert seen == dict(backend='memcached')

    def too_many(path, backend_args):
        raise OSError(errno.EMFILE, 'Too many open files')

    monkeypatch.setattr(fileio, 'get', too_many)
    with pytest.raises(OSError, match='Too many open files'):  # nothing is wrong with the file
        load('x')


def test_an_image_that_was_loaded_already_is_left():
    """mmpretrain's inferencers load it themselves and remove LoadImageFromFile alone."""
    image = np.zeros((4, 4, 3), np.uint8)
    assert LoadImage()(dict(img=image))['img'] is image


def test_damaged_exif_and_huge_sizes():
    exif = b'Exif\0\0MM\0*\0\0\0\x08\xff\xff' + b'\x01\x12\0\x03\xff' * 3
    assert decode_image(encode(RGB, 'PNG', exif=exif)).shape == (40, 50, 3)
    data = bytearray(encode(RGB, 'BMP'))
    data[18:26] = (2**30).to_bytes(4, 'little') * 2
    with pytest.raises(ValueError, match=r'\w'):
        decode_image(bytes(data))
    with pytest.raises(ValueError, match='no image, or a truncated one'):
        decode_image(b'\xff\xd8\xff')
