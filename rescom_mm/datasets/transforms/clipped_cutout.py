from __future__ import annotations

from mmcv.transforms import BaseTransform
from mmpretrain.registry import TRANSFORMS

from ...utils import check_options
from .randomness import Draws, random_integer


@TRANSFORMS.register_module()
@check_options
class ClippedCutout(BaseTransform):
    """Cutout (DeVries and Taylor, 2017): one square hole, its centre uniform over the image.

    The square is clipped at the border, so a hole there is smaller. (mmpretrain's ``Cutout`` moves
    it inside at the upper and the left border instead.) Put it before ``PackInputs``: 0 is black
    there, since the data preprocessor normalises later.

    Args:
        side: of the square, in pixels; even, as the centre is a corner of a pixel.
        fill: grey level of the hole, 0 ... 255.
    """

    def __init__(self, side: int = 16, fill: int = 0) -> None:
        if side < 2 or side % 2:
            raise ValueError(f'ClippedCutout: side must be an even number of pixels, at least 2, '
                             f'got {side}')
        if not 0 <= fill <= 255:
            raise ValueError(f'ClippedCutout: fill must lie in 0 ... 255, got {fill}')
        self.side = side
        self.fill = fill

    @Draws
    def random_centre(self, height: int, width: int) -> tuple[int, int]:
        """Row and column of the centre."""
        return random_integer(height), random_integer(width)

    def transform(self, results: dict) -> dict:
        """Cuts the hole into ``results['img']``, ``[H, W]`` or ``[H, W, channels]``."""
        image = results['img'].copy()
        y, x = self.random_centre(*image.shape[:2])
        half = self.side // 2
        image[max(y - half, 0):y + half, max(x - half, 0):x + half] = self.fill
        results['img'] = image
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(side={self.side}, fill={self.fill})'
