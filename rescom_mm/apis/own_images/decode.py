"""Decodes all images once: which cannot be read, how large they are, which are the same."""

from __future__ import annotations

import hashlib
import io
import os
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

from mmengine.utils import ProgressBar
from PIL import Image

from ...datasets.transforms.load_image import NOT_THE_FILES, decode_image

#: pixels from which an image counts as huge
HUGE = 20_000_000
_MANY_IMAGES = 2000  # so many take more than a few seconds
# images that take hundreds of megabytes are decoded one after the other
_one_huge = threading.Lock()


class Checked(NamedTuple):
    """What was found of an image file.

    Attributes:
        reason: why it cannot be read; empty for a good one.
        width: in pixels, as the height.
        height: see there.
        mode: Pillow's name of its kind of pixels.
        digest: of the file's bytes.
    """

    reason: str = ''
    width: int = 0
    height: int = 0
    mode: str = ''
    digest: bytes = b''


def check_images(paths: Sequence[str], root: Path, workers: int) -> list[Checked]:
    """Decodes images as training does; threads do it, as decoding holds no lock.

    Args:
        paths: below ``root``.
        root: their folder.
        workers: threads.

    Raises:
        OSError: for what the machine lacks: memory, or file handles.
    """
    bar = ProgressBar(len(paths), file=sys.stderr) if len(paths) >= _MANY_IMAGES else None
    step = max(1, len(paths) // 100)  # a hundred lines of a log at most
    found: list[Checked] = []
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(paths), step):
            block = [os.path.join(root, path) for path in paths[start:start + step]]
            found += pool.map(check_image, block)
            if bar is not None:
                bar.update(len(block))
    if bar is not None:
        sys.stderr.write('\n')
    return found


def check_image(path: str) -> Checked:
    """Decodes one image."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        if error.errno in NOT_THE_FILES:
            raise
        return Checked(error.strerror or str(error))
    width, height, mode = _header(data)
    try:
        with _one_huge if width * height >= HUGE else nullcontext():
            shape = decode_image(data).shape
    except ValueError as error:
        return Checked(str(error))
    except MemoryError:
        return Checked(f'{width} x {height} pixels do not fit into memory; make the image smaller')
    digest = hashlib.blake2b(data, digest_size=16).digest()
    return Checked('', shape[1], shape[0], mode, digest)


def _header(data: bytes) -> tuple[int, int, str]:
    try:
        with Image.open(io.BytesIO(data)) as image:
            return (*image.size, image.mode)
    except Exception:  # Pillow raises many kinds; decoding says what is wrong
        return 0, 0, '?'
