"""Decoding: every odd kind is taken, every damage is found."""

import numpy as np
import pytest
from PIL import Image

from rescom_mm.apis.own_images import decode
from rescom_mm.apis.own_images.decode import check_images
from tests.images import DAMAGES, smooth
from tests.own_images import KINDS, odd_image


def test_odd_kinds(tmp_path, monkeypatch):
    sizes = {}
    for kind in KINDS:
        image, ending = odd_image(kind, np.random.default_rng(0))
        image.save(tmp_path / f'{kind}{ending}')
        sizes[f'{kind}{ending}'] = image.size
    monkeypatch.setattr(decode, '_MANY_IMAGES', 1)  # with a progress bar
    found = check_images(list(sizes), tmp_path, workers=3)
    assert [image.reason for image in found] == [''] * len(KINDS)
    assert [(image.width, image.height) for image in found] == list(sizes.values())
    assert {'L', 'RGBA', 'P', 'LA', '1', 'I;16', 'CMYK', 'RGB'} == {
        image.mode for image in found}


def test_damages_and_digests(tmp_path):
    good = Image.fromarray(smooth(np.random.default_rng(0)))
    names = []
    for damage, (ending, apply) in DAMAGES.items():
        names.append(f'{damage}{ending}')
        good.save(tmp_path / names[-1])
        apply(tmp_path / names[-1])
    good.save(tmp_path / 'a.png')
    good.save(tmp_path / 'b.png')
    good.transpose(Image.Transpose.ROTATE_90).save(tmp_path / 'c.png')
    *bad, a, b, c = check_images([*names, 'a.png', 'b.png', 'c.png'], tmp_path, workers=2)
    assert all(image.reason and not image.digest and '\n' not in image.reason for image in bad)
    assert a.digest == b.digest != c.digest


@pytest.mark.parametrize('ending', ['.png', '.tif'])
def test_the_limit_of_pillow_is_said_plainly(tmp_path, monkeypatch, ending):
    Image.new('RGB', (40, 40)).save(tmp_path / f'x{ending}')
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 700)
    reason = check_images([f'x{ending}'], tmp_path, workers=1)[0].reason
    assert reason == 'more than the 1400 pixels that Pillow decodes; make the image smaller'
