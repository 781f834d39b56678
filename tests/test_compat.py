"""The stack check speaks in one line, and imports work where they should."""

import subprocess
import sys

import numpy as np
import pytest

from rescom_mm import compat

pytestmark = pytest.mark.stack

GOOD = {'onedl-mmengine': '0.10.12', 'onedl-mmcv': '2.3.6', 'onedl-mmpretrain': '1.3.7',
        'torch': '2.13.0+cpu', 'torchvision': '0.28.0'}
ORIGINAL = {'mmengine': '0.10.7', 'mmcv-lite': '2.2.0', 'mmpretrain': '1.2.0', 'torch': '2.5.1',
            'torchvision': '0.20.1'}


@pytest.mark.parametrize('installed', [
    GOOD, ORIGINAL, {**ORIGINAL, 'mmcv': '2.2.0', 'mmcv-lite': None}])
def test_good_stacks(monkeypatch, installed):
    monkeypatch.setattr(compat, '_version', installed.get)
    compat.check_stack()


@pytest.mark.parametrize('installed, message', [
    ({}, r'no OpenMMLab stack .* pip install -e "\.\[onedl\]"'),
    ({**GOOD, **ORIGINAL}, r'both OpenMMLab stacks .*pip uninstall -y onedl-mmengine'),
    ({**GOOD, 'onedl-mmcv': None}, r'onedl-mmcv is missing, 2\.3\.6 .*\[onedl\]'),
    ({**GOOD, 'onedl-mmpretrain': '1.3.5'}, r'onedl-mmpretrain 1\.3\.5 is too old'),
    ({**ORIGINAL, 'mmcv-lite': '2.1.0'}, r'mmcv-lite 2\.1\.0 is too old.*\[openmmlab\]'),
    ({**GOOD, 'torch': '2.3.1'}, r'torch 2\.3\.1 is too old, 2\.4'),
    ({**GOOD, 'torch': None}, 'torch is missing'),
    ({**GOOD, 'torchvision': None}, 'torchvision is missing'),
])
def test_bad_stacks(monkeypatch, installed, message):
    monkeypatch.setattr(compat, '_version', installed.get)
    with pytest.raises(ImportError, match=message) as error:
        compat.check_stack()
    assert '\n' not in str(error.value)


def test_hue_jitter_works_on_this_stack():
    import mmcv
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    for factor in (-0.4, -0.1, 0.0, 0.3):
        out = mmcv.adjust_hue(image, factor)
        assert out.dtype == np.uint8 and out.shape == image.shape
    assert np.abs(mmcv.adjust_hue(image, 0.0).astype(int) - image).max() <= 12  # HSV rounding
    a, b = mmcv.adjust_hue(image, 0.25).astype(int), mmcv.adjust_hue(image, -0.25).astype(int)
    assert np.abs(a - b).max() > 20


def test_fresh_process_needs_no_other_import_and_colour_jitter_is_quiet():
    code = ("import rescom_mm, numpy as np; from mmpretrain.registry import MODELS, TRANSFORMS; "
            "MODELS.get('SPMLoss').__name__; "
            "TRANSFORMS.build(dict(type='ColorJitter', saturation=0.4, backend='pillow'))"
            "(dict(img=np.zeros((4, 4, 3), np.uint8)))")
    done = subprocess.run([sys.executable, '-c', code], check=True, timeout=120,
                          capture_output=True, text=True)
    assert 'alpha' not in done.stderr
