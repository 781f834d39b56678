"""The ops of both policies, written with Pillow alone, and the images they are compared on."""

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

GREY, MEAN = (128, 128, 128), (124, 116, 104)
NEAREST, BILINEAR, BICUBIC = (Image.Resampling.NEAREST, Image.Resampling.BILINEAR,
                              Image.Resampling.BICUBIC)


def images():
    """Random and smooth RGB images, 32x32, 224x224, and one that is not square."""
    generator = np.random.default_rng(0)
    found = []
    for height, width in ((32, 32), (224, 224), (45, 30)):
        found.append(generator.integers(0, 256, (height, width, 3), dtype=np.uint8))
        y, x = np.mgrid[:height, :width] / max(height, width)
        found.append(np.stack([128 + 100 * np.sin(5 * x + 3 * y), 40 + 150 * x * y,
                               250 * (1 - y)], axis=-1).astype(np.uint8))
    return found


def matrix(image, coefficients, resample, fill):
    return image.transform(image.size, Image.Transform.AFFINE, coefficients, resample,
                           fillcolor=fill)


def cifar10(name, level, sign, image):
    """An op of AutoAugment's CIFAR-10 policy; level 0 ... 9, sign of random ones."""
    width, height = image.size
    factor = 1 + sign * 0.9 * (level or 0) / 9
    shift = sign * (level or 0) / 9 * 150 / 331
    return {
        'Invert': lambda: ImageOps.invert(image),
        'AutoContrast': lambda: ImageOps.autocontrast(image),
        'Equalize': lambda: ImageOps.equalize(image),
        'Posterize': lambda: ImageOps.posterize(image, [8, 8, 7, 7, 6, 6, 5, 5, 4, 4][level]),
        'Solarize': lambda: ImageOps.solarize(image, np.linspace(256, 0, 10)[level]),
        'Color': lambda: ImageEnhance.Color(image).enhance(factor),
        'Contrast': lambda: ImageEnhance.Contrast(image).enhance(factor),
        'Brightness': lambda: ImageEnhance.Brightness(image).enhance(factor),
        'Sharpness': lambda: ImageEnhance.Sharpness(image).enhance(factor),
        'ShearY': lambda: matrix(image, (1, 0, 0, sign * 0.3 * level / 9, 1, 0), BICUBIC, GREY),
        'TranslateX': lambda: matrix(image, (1, 0, shift * width, 0, 1, 0), NEAREST, GREY),
        'TranslateY': lambda: matrix(image, (1, 0, 0, 0, 1, shift * height), NEAREST, GREY),
        'Rotate': lambda: image.rotate(30 * level / 9, fillcolor=GREY),
    }[name]()


def solarize_add(image, addend):
    values = np.asarray(image).astype(int)
    return Image.fromarray(np.where(values < 128, values + addend, values).astype(np.uint8))


def rand_augment(name, m, image):
    """All possible results of an op of the non-increasing RandAugment at level m, 0 ... 10."""
    width, height = image.size
    factor, bits = 0.1 + m / 10 * 1.8, int(m / 10 * 4)
    plain = {
        'AutoContrast': lambda: ImageOps.autocontrast(image),
        'Equalize': lambda: ImageOps.equalize(image),
        'Invert': lambda: ImageOps.invert(image),
        'Posterize': lambda: image.point([value >> (8 - bits) << (8 - bits)
                                          for value in range(256)] * 3),
        'Solarize': lambda: ImageOps.solarize(image, int(25.6 * m)),
        'SolarizeAdd': lambda: solarize_add(image, int(11 * m)),
        'Color': lambda: ImageEnhance.Color(image).enhance(factor),
        'Contrast': lambda: ImageEnhance.Contrast(image).enhance(factor),
        'Brightness': lambda: ImageEnhance.Brightness(image).enhance(factor),
        'Sharpness': lambda: ImageEnhance.Sharpness(image).enhance(factor),
    }
    angle, shear, shift = 30 * (m / 10), 0.3 * (m / 10), 0.45 * (m / 10)
    warps = {
        'Rotate': lambda s, how: image.rotate(s * angle, how, fillcolor=MEAN),
        'ShearX': lambda s, how: matrix(image, (1, s * shear, 0, 0, 1, 0), how, MEAN),
        'ShearY': lambda s, how: matrix(image, (1, 0, 0, s * shear, 1, 0), how, MEAN),
        'TranslateX': lambda s, how: matrix(image, (1, 0, s * shift * width, 0, 1, 0), how, MEAN),
        'TranslateY': lambda s, how: matrix(image, (1, 0, 0, 0, 1, s * shift * height), how, MEAN),
    }
    if name in plain:
        return [plain[name]()]
    return [warps[name](sign, how) for sign in (1, -1) for how in (BILINEAR, BICUBIC)]
