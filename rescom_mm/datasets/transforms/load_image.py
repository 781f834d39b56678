from __future__ import annotations

import contextlib
import errno
import io
import warnings

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmengine import fileio
from mmpretrain.registry import TRANSFORMS
from PIL import Image, ImageOps

from ...utils import check_options

_PNG_END = b'IEND\xaeB`\x82'  # its last chunk: empty, and always the same checksum
#: errors for what the machine lacks, not the file
NOT_THE_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


class UndecodableImage(ValueError):  # noqa: N818
    """An image file that can't be read or decoded.

    Attributes:
        reason: what is wrong with it, without its name.
    """

    def __init__(self, message: str, reason: str = '') -> None:
        super().__init__(message)
        self.reason = reason


@TRANSFORMS.register_module()
@check_options
class LoadImage(BaseTransform):
    """Decodes an image file, strictly: a file that is not whole is an error.

    Takes the place of mmcv's ``LoadImageFromFile`` and gives the same: ``img`` (uint8
    ``[H, W, 3]``, BGR), ``img_shape`` and ``ori_shape``; for a good JPEG or PNG the same pixels in
    the same time, since both decode it with OpenCV. As there, the EXIF orientation is applied.
    All that Pillow can turn into RGB is: palettes, grey, CMYK, also of 16 bits and more (see
    :func:`decode_image`). Transparency is dropped.

    Damage that leaves a JPEG's or WebP's structure whole is not seen, as these formats have no
    checksum.

    An image that is in ``img`` already, without an ``img_path``, is left as it is: mmpretrain's
    inferencers load it themselves.

    Args:
        backend_args: of ``mmengine.fileio.get``; None chooses the backend by the path.

    Raises:
        UndecodableImage: a ``ValueError`` that names the file and the reason, if it is missing,
            unreadable, empty, truncated, damaged or no image.
    """

    def __init__(self, backend_args: dict | None = None) -> None:
        self.backend_args = backend_args

    def transform(self, results: dict) -> dict:
        """Loads ``results['img_path']``."""
        if 'img_path' not in results and 'img' in results:
            return results
        image = load_image(results['img_path'], self.backend_args)
        results['img'] = image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(backend_args={self.backend_args})'


def load_image(path: str, backend_args: dict | None = None) -> np.ndarray:
    """Reads and decodes a file; see :class:`LoadImage`.

    Raises:
        UndecodableImage: with the file's name and the reason.
    """
    try:
        return decode_image(bytes(fileio.get(path, backend_args=backend_args)))
    except OSError as error:
        if error.errno in NOT_THE_FILES:
            raise
        reason = error.strerror or str(error)
        raise UndecodableImage(f'{path!r} cannot be read: {reason}', reason) from error
    except ValueError as error:
        raise UndecodableImage(f'{path!r} cannot be decoded: {error}', str(error)) from error


def decode_image(data: bytes) -> np.ndarray:
    """Decodes the bytes of an image file strictly.

    More than 8 bits become 8 by scaling: of 16-bit values the upper 8 bits are kept. Values of 32
    bits and floats fill the smallest of the ranges 0 ... 1 (floats), 0 ... 255, 0 ... 65535 and
    0 ... 2^32 - 1 that holds the image's largest value.

    Returns:
        uint8 ``[H, W, 3]``, BGR, upright by its EXIF orientation; of an animation the first image.

    Raises:
        ValueError: with the reason.
    """
    if not data:
        raise ValueError('the file is empty')
    # OpenCV before 5 fills what is missing of a truncated JPEG with grey, and says nothing
    is_whole = {b'\xff\xd8': _jpeg_is_whole, b'\x89P': _png_is_whole}.get(data[:2])
    if is_whole is not None and is_whole(data):
        try:
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        except cv2.error:  # Pillow knows why
            image = None
        if image is not None:
            return image
    return _decode_with_pillow(data)


def _jpeg_is_whole(data: bytes) -> bool:
    """Whether the end of a JPEG stands behind its first scan.

    Segments before the scan are skipped by their lengths, as a thumbnail in one has an end of its
    own; in scans the bytes of that marker can't occur.
    """
    at = 2
    while data[at:at + 1] == b'\xff':
        length = int.from_bytes(data[at + 2:at + 4], 'big')
        if data[at + 1:at + 2] == b'\xda':  # start of scan
            return data.endswith(b'\xff\xd9') or data.find(b'\xff\xd9', at + 2 + length) >= 0
        at += 2 + length
    return False  # or unusual: Pillow says


def _png_is_whole(data: bytes) -> bool:
    try:
        _verify_png(data)
    except Exception:  # Pillow raises many kinds, and says which when it decodes
        return False
    return True


def _verify_png(data: bytes) -> None:
    if _PNG_END not in data:
        raise ValueError('truncated PNG')
    with Image.open(io.BytesIO(data)) as image:
        image.verify()  # the checksums


def _codestream_ends(data: bytes) -> bool:
    """Whether the end of a JPEG 2000 stands behind the start of its data."""
    return data.rfind(b'\xff\xd9') > data.find(b'\xff\x93') >= 0


def _decode_with_pillow(data: bytes) -> np.ndarray:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # each worker would print them
            if data.startswith(b'\x89PNG'):
                _verify_png(data)
            with Image.open(io.BytesIO(data)) as image:
                image.load()
                if image.format == 'JPEG2000' and not _codestream_ends(data):
                    raise ValueError('truncated JPEG 2000')
                pixels = np.asarray(_to_rgb(image))
    except MemoryError:
        raise
    except Image.UnidentifiedImageError:
        found = f'{len(data)} bytes, the first ones {data[:8]!r}'
        raise ValueError(f'no image, or a truncated one ({found})') from None
    except Image.DecompressionBombError:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        raise ValueError(f'more than the {most} pixels that Pillow decodes; make the image '
                         'smaller') from None
    except Exception as error:  # Pillow raises SyntaxError, OSError, struct.error, ...
        raise ValueError(' '.join(str(error).split()) or type(error).__name__) from error
    return np.ascontiguousarray(pixels[..., ::-1])


def _to_rgb(image: Image.Image) -> Image.Image:
    image_format = image.format
    with contextlib.suppress(Exception):  # where the EXIF data are damaged; the pixels are good
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith('I') or image.mode == 'F':
        sixteen = image.mode.startswith('I;16') or image_format in ('PNG', 'PPM')
        return Image.fromarray(_to_8_bits(np.asarray(image), sixteen)).convert('RGB')
    if 'transparency' in image.info:
        image = image.convert('RGBA')
    return image.convert('RGB')


def _to_8_bits(values: np.ndarray, sixteen: bool) -> np.ndarray:
    """Scales integers or floats to 0 ... 255; ``sixteen``: they are known to have 16 bits."""
    tops: tuple[int, ...] = (65535,) if sixteen else (255, 65535, 2**32 - 1)
    floats = values.dtype.kind == 'f'
    values = np.nan_to_num(values.astype(np.float64), posinf=0, neginf=0).clip(0)
    largest = values.max(initial=0)
    if floats and largest <= 1:
        return np.rint(values * 255).astype(np.uint8)
    top = next((top for top in tops if largest <= top), largest)
    return np.floor(values * (256 / (top + 1))).astype(np.uint8)
