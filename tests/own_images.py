"""Writes a folder of own images with natural imbalance: python -m tests.own_images FOLDER.

Class sizes fall as Zipf's law has them, down to one image; among the images are grey, palette,
transparent, 16-bit, CMYK, tiny, narrow and huge ones, and broken files; names are odd.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from tests.images import DAMAGES, smooth

#: names of the first classes; the others are numbered
ODD_CLASSES = ("O'Neil's \"crow\"", 'größe, 50 %', '鳥', '-dash --force', 'UPPER lower', '$x^2$ #1',
               'a.b [c] {d}', 'new\u2028line')
ODD_FILES = ("it's 1.JPG", 'a, b.Png', '-rf.jpeg', '写真 2.png', 'dot.dot.JPEG', '100 % #3.bmp')


def zipf_sizes(classes, largest, smallest=1):
    """``largest / rank``: natural imbalance; the last ones have 2 and 1 images."""
    sizes = [max(smallest, largest // rank) for rank in range(1, classes + 1)]
    return [*sizes[:-2], 2, 1]


def odd_image(kind, generator):
    """An image of an unusual kind, and the ending that it needs."""
    image = Image.fromarray(smooth(generator, 40, 32))
    if kind == '16-bit':
        values = generator.integers(0, 2**16, (40, 32), dtype=np.uint16)
        return Image.fromarray(values), '.png'
    if kind == 'CMYK':
        return image.convert('CMYK'), '.jpg'
    if kind == 'huge':  # one colour: a small file
        return Image.new('RGB', (6000, 4000), (40, 90, 200)), '.jpg'
    if kind == 'narrow':
        return image.resize((300, 3)), '.png'
    if kind == 'tiny':
        return image.resize((1, 1)), '.png'
    return image.convert(kind), '.png'


KINDS = ('L', 'RGBA', 'P', 'LA', '1', '16-bit', 'CMYK', 'narrow', 'tiny', 'huge')


def write_own_images(folder, classes=20, largest=40, seed=0):
    """Writes ``folder/CLASS/*``; every kind of image, name and damage is there at least once.

    Returns:
        Number of files by class name, and the paths of the broken ones below the folder.
    """
    folder, generator = Path(folder), np.random.default_rng(seed)
    names = [*ODD_CLASSES, *(f'class {k}' for k in range(len(ODD_CLASSES), classes))][:classes]
    sizes = zipf_sizes(classes, largest)
    for name, size in zip(names, sizes):
        (folder / name).mkdir(parents=True)
        for k in range(size):
            image = Image.fromarray(smooth(generator, *generator.integers(16, 60, 2)))
            image.save(folder / name / f'{k}{(".jpg", ".png")[k % 2]}')
    broken = []
    for k, file in enumerate(ODD_FILES):
        name = names[k % 3]
        Image.fromarray(smooth(generator)).save(folder / name / file)
        sizes[k % 3] += 1
    for k, kind in enumerate(KINDS):
        name = names[k % 4]
        image, ending = odd_image(kind, generator)
        image.save(folder / name / f'odd {kind}{ending}')
        sizes[k % 4] += 1
    for k, (damage, (ending, apply)) in enumerate(DAMAGES.items()):
        if damage == 'missing':
            continue
        path = folder / names[k % 4] / f'broken {damage}{ending}'
        Image.fromarray(smooth(generator)).save(path)
        apply(path)
        sizes[k % 4] += 1
        broken.append(f'{names[k % 4]}/{path.name}')
    (folder / names[0] / 'notes.txt').write_text('no image')
    (folder / '.cache').mkdir()
    return dict(zip(names, sizes)), broken


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('folder')
    parser.add_argument('--classes', type=int, default=200)
    parser.add_argument('--largest', type=int, default=300)
    args = parser.parse_args()
    print(write_own_images(args.folder, args.classes, args.largest))
