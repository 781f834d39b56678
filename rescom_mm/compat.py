"""What the OpenMMLab stacks need before they can be used, applied once on import.

Each cure first looks whether its fault is there and does nothing otherwise.
"""

from __future__ import annotations

import importlib.metadata
import re
import warnings
from typing import Any

# distribution name -> oldest version that was tested
_ONEDL = {'onedl-mmengine': '0.10.12', 'onedl-mmcv': '2.3.6', 'onedl-mmpretrain': '1.3.6'}
_OPENMMLAB = {'mmengine': '0.10.7', 'mmcv-lite': '2.2.0', 'mmpretrain': '1.2.0'}
_TORCH = {'torch': '2.4', 'torchvision': '0.19'}

_kept_alive: list[Any] = []


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _older(version: str, floor: str) -> bool:
    def numbers(text: str) -> list[int]:
        return [int(part) for part in re.findall(r'\d+', text.split('+')[0])[:3]]

    return numbers(version) < numbers(floor)


def check_stack() -> None:
    """Checks that exactly one OpenMMLab stack is installed, new enough.

    Raises:
        ImportError: in one line that says which command to run.
    """
    onedl = {name: _version(name) for name in _ONEDL}
    original = {name: _version(name) for name in _OPENMMLAB}
    if original['mmcv-lite'] is None and _version('mmcv') is not None:
        original['mmcv'], _ = _version('mmcv'), original.pop('mmcv-lite')

    if any(onedl.values()) and any(original.values()):
        names = ' '.join(name for name, version in {**onedl, **original}.items() if version)
        raise ImportError(
            'both OpenMMLab stacks are installed and overwrite each other\'s files; run: '
            f'pip uninstall -y {names} && pip install -e ".[onedl]"')
    if not any(onedl.values()) and not any(original.values()):
        raise ImportError('no OpenMMLab stack is installed; run: pip install -e ".[onedl]"')

    extra = 'onedl' if any(onedl.values()) else 'openmmlab'
    installed, floors = (onedl, _ONEDL) if extra == 'onedl' else (original, _OPENMMLAB)
    floors = {**floors, 'mmcv': _OPENMMLAB['mmcv-lite']}
    for name, version in installed.items():
        if version is None or _older(version, floors[name]):
            state = 'is missing' if version is None else f'{version} is too old'
            raise ImportError(f'{name} {state}, {floors[name]} or newer is needed; '
                              f'run: pip install -e ".[{extra}]"')
    for name, floor in _TORCH.items():
        version = _version(name)
        if version is None or _older(version, floor):
            state = 'is missing' if version is None else f'{version} is too old'
            raise ImportError(f'{name} {state}, {floor} or newer is needed; run: pip install '
                              f'"torch>={_TORCH["torch"]}" torchvision')


def _cure_torchvision_nms() -> None:
    """torchvision from PyPI beside a CPU-only torch misses the schemas it registers fakes for."""
    try:
        import torchvision
    except RuntimeError as error:
        if 'torchvision::nms' not in str(error):
            raise
        import torch
        library = torch.library.Library('torchvision', 'FRAGMENT')
        library.define('nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
        library.define('qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
        _kept_alive.append(library)  # the schemas go when the object goes
        import torchvision  # noqa: F401
    except ImportError as error:
        raise ImportError('torchvision is missing; run: pip install torchvision with the '
                          'version that matches your torch') from error


def _protect_checkpoint_loading() -> None:
    """Checkpoints are data: nothing in them is executed."""
    from .utils.safe_load import protect
    protect()


def _cure_adjust_hue() -> None:
    """The original mmcv casts a negative hue shift to uint8, which NumPy 2 refuses."""
    import numpy as np
    if int(np.__version__.split('.')[0]) < 2 or _version('onedl-mmcv') is not None:
        return
    import cv2
    import mmcv.image.photometric as photometric
    original = photometric.adjust_hue
    try:
        original(np.zeros((1, 1, 3), np.uint8), -0.1)
        return
    except OverflowError:
        pass

    def adjust_hue(img: np.ndarray, hue_factor: float, backend: str | None = None) -> np.ndarray:
        if backend == 'pillow' or not -0.5 <= hue_factor <= 0.5:
            return original(img, hue_factor, backend)
        hsv = cv2.cvtColor(img, cv2.COLOR_BGR2HSV_FULL)
        # hue is cyclic in 256 steps; the shift wraps as the uint8 sum does
        hsv[..., 0] += np.uint8(int(hue_factor * 255) % 256)
        return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR_FULL).astype(img.dtype)

    import mmcv
    for module in (photometric, mmcv.image, mmcv):
        module.adjust_hue = adjust_hue


def _quieten_adjust_color() -> None:
    """mmcv warns in every data loader worker when ColorJitter uses Pillow, whatever the options."""
    warnings.filterwarnings('ignore', "Only use 'alpha' for pillow backend", UserWarning)


def apply() -> None:
    """Checks the stack and cures the faults that this machine shows."""
    check_stack()
    _cure_torchvision_nms()
    _protect_checkpoint_loading()
    _cure_adjust_hue()
    _quieten_adjust_color()
