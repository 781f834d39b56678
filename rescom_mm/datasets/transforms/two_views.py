from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform, Compose
from mmpretrain.registry import TRANSFORMS

from ...utils import check_options

_LARGE = 1 << 14  # from here on OpenCV is the faster one to separate channels


@TRANSFORMS.register_module()
@check_options
class TwoViews(BaseTransform):
    """Two views of an image by the same transforms: ``MultiView`` without its copies.

    Gives what mmpretrain's ``MultiView(num_views=2, transforms=[transforms])`` gives, and draws the
    same. That copies image and annotations for each view; here both views begin with the same
    image, which is locked, so that a transform that writes into it fails (NumPy says that the
    destination is read-only). Use ``MultiView`` for such a transform.

    Args:
        transforms: of a view, or their configs.
    """

    def __init__(self, transforms: Sequence[Any]) -> None:
        # built here: Compose would look only into the registry of the default scope, and some
        # stock tools (vis_scheduler.py) set none
        self.transforms = Compose([TRANSFORMS.build(step) if isinstance(step, dict) else step
                                   for step in transforms])

    def transform(self, results: dict) -> dict | None:
        """Puts the list of both views into ``results['img']``; other keys stay.

        None if the transforms make nothing of the image.
        """
        image = results['img'].view()
        image.flags.writeable = False
        views = []
        for _ in range(2):
            view = {**results, 'img': image}
            for step in self.transforms.transforms:  # as Compose does, in two thirds of its time
                if (view := step(view)) is None:
                    return None
            views.append(_by_channel(view['img']))
        results['img'] = views
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.transforms})'


def _by_channel(image: np.ndarray) -> np.ndarray:
    """A copy whose memory holds one channel after another, as ``PackInputs`` needs it.

    (torch, which would copy it otherwise, takes longer.)
    """
    if image.ndim == 3 and image.size > _LARGE and image.dtype == np.uint8:
        planes = np.empty((image.shape[2], *image.shape[:2]), image.dtype)
        cv2.split(image, list(planes))
        return planes.transpose(1, 2, 0)
    return image.transpose(2, 0, 1).copy().transpose(1, 2, 0) if image.ndim == 3 else image.copy()
