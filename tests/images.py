"""Small image files, and six ways to damage them."""

import io

import numpy as np
from PIL import Image


def smooth(generator, height=24, width=20):
    """uint8 ``[height, width, 3]`` with soft slopes, as photographs have them."""
    small = Image.fromarray(generator.integers(0, 256, (4, 4, 3), dtype=np.uint8))
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))


def encode(image, file_format, **options):
    with io.BytesIO() as buffer:
        image.save(buffer, file_format, **options)
        return buffer.getvalue()


def write_folders(folder, sizes, generator, suffixes=('.jpg', '.png')):
    """``class0/0.jpg``, ``class0/1.png``, ...; returns the paths of each class."""
    paths = []
    for label, size in enumerate(sizes):
        (folder / f'class{label}').mkdir(parents=True)
        paths.append([folder / f'class{label}' / f'{i}{suffixes[i % len(suffixes)]}'
                      for i in range(size)])
        for path in paths[-1]:
            Image.fromarray(smooth(generator)).save(path)
    return paths


def _empty(path):
    path.write_bytes(b'')


def _cut(path):
    data = path.read_bytes()
    path.write_bytes(data[:2 * len(data) // 3])


def _text(path):
    path.write_text('<html>404 Not Found</html>')


def _remove(path):
    path.unlink()  # not chmod: root reads all


def _flip(path):
    data = bytearray(path.read_bytes())
    data[1] ^= 0xff
    path.write_bytes(bytes(data))


#: name -> (suffix of the file, what is done to it)
DAMAGES = {'zero bytes': ('.jpg', _empty), 'truncated JPEG': ('.jpg', _cut),
           'truncated PNG': ('.png', _cut), 'text': ('.jpg', _text), 'missing': ('.png', _remove),
           'flipped header': ('.jpg', _flip)}
