"""The two-view recipes on torchvision's transforms and Pillow's ops, for comparison.

From the image file (or the array, for CIFAR) to the normalised float tensors of both views, as
PyTorch data sets usually do it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageOps
from torch import Tensor
from torchvision import transforms as T

GREY, MEAN = (128, 128, 128), (124, 116, 104)
NEAREST, BILINEAR, BICUBIC = (Image.Resampling.NEAREST, Image.Resampling.BILINEAR,
                              Image.Resampling.BICUBIC)
Op = Callable[[Image.Image], Image.Image]


def two_views(transform: Callable[[Image.Image], Tensor], image: Any) -> tuple[Tensor, Tensor]:
    """Both views of a file (its path) or an array."""
    if isinstance(image, Path):
        with Image.open(image) as opened:
            pixels = opened.convert('RGB')
    else:
        pixels = Image.fromarray(image)
    return transform(pixels), transform(pixels)


def cifar() -> T.Compose:
    """RandomCrop with padding 4, flip, AutoAugment's CIFAR-10 policy, Cutout 16, normalise."""
    return T.Compose([
        T.RandomCrop(32, padding=4), T.RandomHorizontalFlip(), AutoAugmentCIFAR10(),
        T.ToTensor(), cutout,
        T.Normalize((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))])


def imagenet() -> T.Compose:
    """RandomResizedCrop, flip, ColorJitter, greyscale, the older RandAugment, normalise."""
    return T.Compose([
        T.RandomResizedCrop(224), T.RandomHorizontalFlip(), T.ColorJitter(0.4, 0.4, 0.4, 0),
        T.RandomGrayscale(0.2), RandAugment(), T.ToTensor(),
        T.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])


def cutout(image_CHW: Tensor, side: int = 16) -> Tensor:
    """A black square whose centre is uniform over the image."""
    _, H, W = image_CHW.shape
    y, x = random.randrange(H), random.randrange(W)
    half = side // 2
    mask_HW = np.ones((H, W), np.float32)
    mask_HW[max(y - half, 0):y + half, max(x - half, 0):x + half] = 0
    return image_CHW * torch.from_numpy(mask_HW)


class AutoAugmentCIFAR10:
    """The published table (torchvision holds it) with the ops of its first implementations."""

    def __init__(self) -> None:
        self.policies = [
            [(prob, [_op(name, (level or 0) / 9, GREY, BICUBIC, NEAREST, sign) for sign in (1, -1)])
             for name, prob, level in policy]
            for policy in T.AutoAugment(T.AutoAugmentPolicy.CIFAR10).policies]

    def __call__(self, image: Image.Image) -> Image.Image:
        for prob, signed in random.choice(self.policies):
            if random.random() <= prob:
                image = random.choice(signed)(image)
        return image


class RandAugment:
    """Two of 15 ops, each with probability 0.5, at a level from N(10, 0.5) clipped to 0 ... 10."""

    NAMES = ('AutoContrast', 'Equalize', 'Invert', 'Rotate', 'Posterize', 'Solarize', 'SolarizeAdd',
             'Color', 'Contrast', 'Brightness', 'Sharpness', 'ShearX', 'ShearY', 'TranslateXRel',
             'TranslateYRel')

    def __call__(self, image: Image.Image) -> Image.Image:
        for name in random.choices(self.NAMES, k=2):
            if random.random() > 0.5:
                continue
            part = min(max(random.gauss(10, 0.5), 0), 10) / 10
            resample = random.choice((BILINEAR, BICUBIC))
            image = _rand_augment_op(name, part, resample)(image)
        return image


def _warp(image: Image.Image, matrix: tuple, resample: Image.Resampling, fill: tuple
          ) -> Image.Image:
    return image.transform(image.size, Image.Transform.AFFINE, matrix, resample, fillcolor=fill)


def _op(name: str, part: float, fill: tuple, shear: Image.Resampling, other: Image.Resampling,
        sign: int) -> Op:
    """An op at ``part`` of its full strength, as AutoAugment's CIFAR-10 policy has it."""
    factor, shift = 1 + sign * 0.9 * part, sign * part * 150 / 331
    ops: dict[str, Op] = {
        'AutoContrast': ImageOps.autocontrast,
        'Equalize': ImageOps.equalize,
        'Invert': ImageOps.invert,
        'Posterize': lambda image: ImageOps.posterize(image, round(8 - 4 * part)),
        'Solarize': lambda image: ImageOps.solarize(image, math.ceil(256 - 256 * part)),
        'Color': lambda image: ImageEnhance.Color(image).enhance(factor),
        'Contrast': lambda image: ImageEnhance.Contrast(image).enhance(factor),
        'Brightness': lambda image: ImageEnhance.Brightness(image).enhance(factor),
        'Sharpness': lambda image: ImageEnhance.Sharpness(image).enhance(factor),
        'ShearY': lambda image: _warp(image, (1, 0, 0, sign * 0.3 * part, 1, 0), shear, fill),
        'TranslateX': lambda image: _warp(image, (1, 0, shift * image.width, 0, 1, 0), other, fill),
        'TranslateY': lambda image: _warp(image, (1, 0, 0, 0, 1, shift * image.height), other,
                                          fill),
        'Rotate': lambda image: image.rotate(30 * part, other, fillcolor=fill),
    }
    return ops[name]


def _rand_augment_op(name: str, part: float, resample: Image.Resampling) -> Op:
    """An op at ``part`` of the full level, as the older RandAugment has it."""
    sign = random.choice((1, -1))
    factor, bits, shear, shift = 0.1 + 1.8 * part, int(4 * part), sign * 0.3 * part, \
        sign * 0.45 * part
    ops: dict[str, Op] = {
        'Rotate': lambda image: image.rotate(sign * 30 * part, resample, fillcolor=MEAN),
        'Posterize': lambda image: (ImageOps.posterize(image, bits) if bits
                                    else Image.new('RGB', image.size)),
        'Solarize': lambda image: ImageOps.solarize(image, int(256 * part)),
        'SolarizeAdd': lambda image: image.point(
            [value + int(110 * part) if value < 128 else value for value in range(256)] * 3),
        'Color': lambda image: ImageEnhance.Color(image).enhance(factor),
        'Contrast': lambda image: ImageEnhance.Contrast(image).enhance(factor),
        'Brightness': lambda image: ImageEnhance.Brightness(image).enhance(factor),
        'Sharpness': lambda image: ImageEnhance.Sharpness(image).enhance(factor),
        'ShearX': lambda image: _warp(image, (1, shear, 0, 0, 1, 0), resample, MEAN),
        'ShearY': lambda image: _warp(image, (1, 0, 0, shear, 1, 0), resample, MEAN),
        'TranslateXRel': lambda image: _warp(image, (1, 0, shift * image.width, 0, 1, 0), resample,
                                             MEAN),
        'TranslateYRel': lambda image: _warp(image, (1, 0, 0, 0, 1, shift * image.height),
                                             resample, MEAN),
    }
    return ops[name] if name in ops else _op(name, part, MEAN, resample, resample, sign)
