"""CIFARAugment against Pillow, image by image, and against counts of what it draws."""

import numpy as np
import pytest
import torch
from mmpretrain.registry import BATCH_AUGMENTS
from PIL import Image
from scipy import stats
from torchvision.transforms import AutoAugment, AutoAugmentPolicy

import rescom_mm.models.utils.cifar_augment as module
from rescom_mm.models import CIFARAugment
from tests.datasets.transforms import pillow_reference as reference

# torchvision holds a copy of the published table of its own
PUBLISHED = AutoAugment(AutoAugmentPolicy.CIFAR10).policies
SIGNED = {'Color', 'Contrast', 'Brightness', 'Sharpness', 'ShearY', 'TranslateX', 'TranslateY'}
WHOLE = (4 * 9 + 4) * 2  # the crop that is the image


def images():
    """Random, smooth, of few values, dark and of one value; [N, 3, 32, 32]."""
    generator = np.random.default_rng(0)
    found = reference.images()[:2]
    found += [generator.integers(low, high, (32, 32, 3)).astype(np.uint8)
              for low, high in ((90, 140), (0, 2), (250, 256), (7, 8))]
    half = found[0].copy()
    half[:20] = 255
    return torch.from_numpy(np.stack([*found, half])).permute(0, 3, 1, 2).contiguous()


IMAGES = images()


def pil(image):
    return Image.fromarray(image.permute(1, 2, 0).numpy())


def array(image):
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def sign_of(name, state):
    """Which way a state goes; a positive translation of mmpretrain is one to the right or down."""
    if name.startswith('Translate'):
        return 1 if state == 2 else -1
    return -1 if state == 2 and name in SIGNED else 1


@pytest.mark.stack
@pytest.mark.parametrize('everywhere', [True, False])
@pytest.mark.parametrize('turn', [0, 1])
def test_ops_are_pillows(turn, everywhere):
    """Each op of all sub-policies alone, bit for bit."""
    augment = CIFARAugment(cutout_side=0)
    rows = [(sub, state, image) for sub in range(25) for state in range(3) for image in IMAGES
            if (PUBLISHED[sub][turn][0], state) != ('Rotate', 2)]  # anticlockwise alone
    codes = torch.tensor([[WHOLE, sub * 3, sub * 3, 0] for sub, _, _ in rows]).T.contiguous()
    codes[1 + turn] += torch.tensor([state for _, state, _ in rows])
    found = augment.apply(torch.stack([image for _, _, image in rows]), codes, everywhere)
    for out, (sub, state, image) in zip(found, rows):
        name, _, level = PUBLISHED[sub][turn]
        wanted = image if state == 0 else array(
            reference.cifar10(name, level, sign_of(name, state), pil(image)))
        assert torch.equal(out, wanted), (name, level, state)


def by_hand(image, code):
    """The recipe with Pillow and NumPy."""
    crop, *ops, hole = code.tolist()
    (y, x), flipped = divmod(crop // 2, 9), crop % 2
    padded = np.pad(np.asarray(pil(image)), ((4, 4), (4, 4), (0, 0)))
    found = Image.fromarray(padded[y:y + 32, x:x + 32][:, ::-1 if flipped else 1].copy())
    for turn, op in enumerate(ops):
        name, _, level = PUBLISHED[op // 3][turn]
        if op % 3:
            found = reference.cifar10(name, level, sign_of(name, op % 3), found)
    found, (y, x) = np.array(found), divmod(hole, 32)
    found[max(y - 8, 0):y + 8, max(x - 8, 0):x + 8] = 0
    return array(found)


@pytest.mark.stack
@pytest.mark.parametrize('everywhere', [True, False])
def test_recipe_is_pillows(everywhere):
    """Crop, flip, both ops and Cutout in this order, as drawn."""
    torch.manual_seed(0)
    augment, batch = CIFARAugment(), IMAGES.repeat(60, 1, 1, 1)
    codes = augment.draw(len(batch))
    found = augment.apply(batch, codes, everywhere)
    for image, code, out in zip(batch, codes.T, found):
        assert torch.equal(out, by_hand(image, code)), code
    assert torch.equal(batch, IMAGES.repeat(60, 1, 1, 1))


@pytest.mark.slow
def test_compiled():
    """The same bits (by a CPU's compiler), in batches of another size too."""
    torch.manual_seed(0)
    augment = CIFARAugment(compile=True)
    for batch in (IMAGES, IMAGES.repeat(9, 1, 1, 1)):
        for _ in range(3):
            codes = augment.draw(len(batch))
            assert torch.equal(augment.apply(batch, codes, everywhere=True),
                               augment.apply(batch, codes, everywhere=False))


def test_views():
    """All of view 1 first; each with draws of its own."""
    for views in (1, 2):
        torch.manual_seed(0)
        augment = BATCH_AUGMENTS.build(dict(type='CIFARAugment', views=views))
        found = augment(IMAGES)
        torch.manual_seed(0)
        codes = augment.draw(views * len(IMAGES))
        assert found.dtype == torch.uint8
        assert torch.equal(found, torch.stack([by_hand(image, code) for image, code in zip(
            IMAGES.repeat(views, 1, 1, 1), codes.T)]))


def test_other_sizes_and_options():
    """8x8 digits in the quick start; no padding, flips or hole."""
    torch.manual_seed(0)
    batch = torch.randint(0, 256, (500, 3, 9, 9), dtype=torch.uint8)
    plain = CIFARAugment(size=9, padding=0, flip_prob=0, cutout_side=0)
    codes = plain.draw(500)
    assert (codes[0] == 0).all()
    codes[1:3] -= codes[1:3] % 3  # no op
    assert torch.equal(plain.apply(batch, codes), batch)
    flipping = CIFARAugment(size=9, padding=0, flip_prob=1, cutout_side=0)
    codes[0] = flipping.draw(500)[0]
    assert torch.equal(flipping.apply(batch, codes), batch.flip(3))
    codes = flipping.draw(500)
    assert torch.equal(flipping.apply(batch, codes, True), flipping.apply(batch, codes, False))


def uniform(values, n):
    return stats.chisquare(torch.bincount(values, minlength=n).numpy()).pvalue > 1e-3


@pytest.mark.stack
def test_law_of_the_draws():
    torch.manual_seed(0)
    draws = 400_000
    crop, first, second, hole = CIFARAugment().draw(draws)
    assert uniform(crop, 81 * 2) and uniform(hole, 1024) and uniform(first // 3, 25)
    assert torch.equal(first // 3, second // 3)
    for sub, pair in enumerate(PUBLISHED):
        chosen = first // 3 == sub
        together = np.zeros((3, 3))
        np.add.at(together, (first[chosen] % 3, second[chosen] % 3), 1)
        law = []
        for turn, (name, prob, _) in enumerate(pair):
            negative = 0.5 if name in SIGNED else 0
            law.append(np.array([1 - prob, prob * (1 - negative), prob * negative]))
            counts = together.sum(axis=1 - turn)
            if name not in SIGNED | {'Rotate'}:  # the sign of what has none changes nothing
                counts = np.array([counts[0], counts[1:].sum(), 0])
            here = law[-1] > 0
            assert counts[~here].sum() == 0, (sub, name)
            assert here.sum() == 1 or stats.chisquare(
                counts[here], counts.sum() * law[-1][here]).pvalue > 1e-4, (sub, name)
        together = together[together.sum(1) > 0][:, together.sum(0) > 0]
        if min(together.shape) > 1:  # each has its own coin
            assert stats.chi2_contingency(together).pvalue > 1e-4, sub
    for one, n, other, m in ((crop, 162, first // 3, 25), (hole // 32, 32, crop % 2, 2),
                             (hole % 32, 32, hole // 32, 32)):
        assert uniform(one * m + other, n * m)
    biased = CIFARAugment(flip_prob=0.25).draw(10_000)[0] % 2
    assert stats.binomtest(int(biased.sum()), 10_000, 0.25).pvalue > 1e-3


def test_draws_come_from_the_default_generator_and_the_rank(monkeypatch):
    """The seeds of ResumeHook's iterations; ranks that share a seed differ all the same."""
    def draw(rank):
        monkeypatch.setattr(module, 'get_rank', lambda: rank)
        torch.manual_seed(3)
        return augment.draw(50), augment.draw(50)

    augment, state = CIFARAugment(), np.random.get_state()[1].tolist()
    first, again, other = draw(0), draw(0), draw(1)
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[0], first[1]) and not torch.equal(first[0], other[0])
    assert np.random.get_state()[1].tolist() == state


def test_nothing_is_read_back_from_a_device():
    """A meta tensor has no values: reading one raises, and so does a tensor left on the host."""
    augment = CIFARAugment()
    out = augment(IMAGES.to('meta'))
    assert out.device.type == 'meta' and out.shape == (2 * len(IMAGES), 3, 32, 32)
    with pytest.raises(Exception, match='meta'):
        augment.apply(IMAGES.to('meta'), augment.draw(len(IMAGES)), everywhere=False)
    assert augment(IMAGES).device.type == 'cpu'  # tables follow the images


@pytest.mark.parametrize('options, message', [
    (dict(views=0), 'views must be at least 1, got 0'), (dict(views=3), 'views must be 1 or 2'),
    (dict(size=2), 'size must be at least 3'), (dict(size=65), 'size at most 64'),
    (dict(padding=-1), 'padding must be at least 0'), (dict(cutout_side=3), 'cutout_side even'),
    (dict(flip_prob=1.1), 'flip_prob in 0 ... 1'),
])
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        CIFARAugment(**options)


@pytest.mark.parametrize('images', [
    torch.zeros(2, 3, 32, 32), torch.zeros(2, 3, 32, 30, dtype=torch.uint8),
    torch.zeros(2, 1, 32, 32, dtype=torch.uint8)])
def test_bad_images(images):
    with pytest.raises(ValueError, match=r'expected uint8 images \[B, 3, 32, 32\], got'):
        CIFARAugment()(images)
