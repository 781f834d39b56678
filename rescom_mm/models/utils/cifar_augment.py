from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

import torch
from mmengine.dist import get_rank
from mmpretrain.registry import BATCH_AUGMENTS
from torch import Tensor

from ...utils import check_options
from ...utils.seeding import derive_seed
from .batched_ops import blend, map_values, move, move_cubic
from .policy_tables import STATES, PolicyRound, policy_rounds

_FILL = 128  # the policy's


@BATCH_AUGMENTS.register_module()
@check_options
class CIFARAugment:
    """The CIFAR recipe's views of a whole batch at once, where the batch is.

    Random crop with black padding, flip, AutoAugment's CIFAR-10 policy and Cutout: the law and the
    pixels of ``RandomCrop``, ``RandomFlip``, ``AutoAugmentCIFAR10`` and ``ClippedCutout`` in a
    pipeline, but not the same draws. All draws of a batch are made on the host, from a seed that
    torch's default generator gives and the rank; so they are the same on every device, and exact
    after ``--resume`` with as many processes and images a batch. Nothing waits for the device,
    which must know float64 (Apple's MPS does not).

    Args:
        views: of each image.
        size: width and height of the images.
        padding: of the crop, in pixels.
        flip_prob: of turning an image left to right.
        cutout_side: of Cutout's square, in pixels, even; 0 for none.
        compile: whether ``torch.compile`` fuses the some 190 kernels of a batch, on accelerators.
    """

    def __init__(self, views: int = 2, size: int = 32, padding: int = 4, flip_prob: float = 0.5,
                 cutout_side: int = 16, compile: bool = False) -> None:
        for name, value, least in (('views', views, 1), ('size', size, 3), ('padding', padding, 0),
                                   ('cutout_side', cutout_side, 0)):
            if value < least:
                raise ValueError(f'CIFARAugment: {name} must be at least {least}, got {value}')
        if views > 2 or size > 64 or cutout_side % 2 or not 0 <= flip_prob <= 1:
            raise ValueError(
                'CIFARAugment: views must be 1 or 2, size at most 64, cutout_side even and '
                f'flip_prob in 0 ... 1, got {views}, {size}, {cutout_side} and {flip_prob}')
        self.views = views
        self.size = size
        self.padding = padding
        self.flip_prob = flip_prob
        self.cutout_side = cutout_side
        self._rounds = policy_rounds(size)
        self._crops, self._holes = self._crop_sources(), self._hole_masks()
        self._on_device: tuple[list[PolicyRound], Tensor, Tensor] | None = None
        self._everywhere = torch.compile(_everywhere, dynamic=False) if compile else _everywhere

    def __call__(self, images_B3HW: Tensor) -> Tensor:
        """Makes the views.

        Args:
            images_B3HW: uint8, RGB, ``size x size`` pixels.

        Returns:
            uint8 ``[views * B, 3, H, W]`` on the images' device, all of view 1 first.
        """
        if images_B3HW.dtype != torch.uint8 or images_B3HW.shape[1:] != (3, self.size, self.size):
            raise ValueError(
                f'CIFARAugment: expected uint8 images [B, 3, {self.size}, {self.size}], got '
                f'{images_B3HW.dtype} {list(images_B3HW.shape)}; leave the training pipeline with '
                "dict(type='PackInputs') alone, or set size")
        codes = self.draw(self.views * len(images_B3HW))
        return self.apply(images_B3HW.repeat(self.views, 1, 1, 1), codes)

    def draw(self, images: int) -> Tensor:
        """What is to be done to each image.

        Returns:
            int64 ``[4, images]`` on the host: the crop (``(y * (2 padding + 1) + x) * 2 +
            flipped``, with y, x from the upper left corner of the padded image), the first and the
            second op (``sub-policy * 3 + state``: 0 left out, 1 applied, 2 with a negative
            magnitude), and Cutout's centre (``y * size + x``).
        """
        seed = int(torch.randint(2**62, ()))
        generator = torch.Generator().manual_seed(derive_seed(seed, get_rank()))
        u = torch.rand(8 + (self.cutout_side > 0), images, dtype=torch.float64,
                       generator=generator)
        offsets = (2 * self.padding + 1) ** 2
        crop = (u[0] * offsets).long() * 2 + (u[1] < self.flip_prob)
        chosen = (u[2] * len(self._rounds[0].prob)).long()
        ops = []
        for one, (applied, negative) in zip(self._rounds, (u[3:5], u[5:7])):
            sign = (negative < one.negative_prob[chosen]).long()
            ops.append(chosen * STATES + (applied < one.prob[chosen]) * (1 + sign))
        hole = (u[-1] * self.size ** 2).long() if self.cutout_side else torch.zeros_like(crop)
        return torch.stack([crop, *ops, hole])

    def apply(self, images_M3HW: Tensor, codes: Tensor, everywhere: bool | None = None) -> Tensor:
        """Does what was drawn.

        Args:
            images_M3HW: uint8.
            codes: of :meth:`draw`.
            everywhere: whether every step takes all images, most of which it leaves as they are,
                and not just those that need it. On an accelerator, where launches cost more
                than arithmetic and shapes have to be fixed for a CUDA graph, this is the default.
        """
        device = images_M3HW.device
        if everywhere is None:
            everywhere = device.type != 'cpu'
        rounds, crops, holes = self._tables(device)
        crop, first, second, hole = (codes.pin_memory() if device.type == 'cuda' else codes).to(
            device, non_blocking=True)
        x = move(images_M3HW.flatten(2), crops[crop], 0)
        if everywhere:
            x = self._everywhere(x, rounds, (first, second), self.size)
        else:
            for one, code in zip(rounds, (first, second)):
                for step, wanted in _STEPS:
                    rows = wanted(one)[code].nonzero()[:, 0]  # on the host: nothing waits
                    x[rows] = step(x[rows], one, code[rows], self.size)
        if self.cutout_side:
            x = x.masked_fill(holes[hole][:, None], 0)
        return x.unflatten(2, (self.size, self.size))

    def _tables(self, device: torch.device) -> tuple[list[PolicyRound], Tensor, Tensor]:
        if self._on_device is None or self._on_device[1].device != device:
            self._on_device = ([one.to(device) for one in self._rounds],
                               self._crops.to(device), self._holes.to(device))
        return self._on_device

    def _crop_sources(self) -> Tensor:
        """int64 ``[offsets^2 * 2, P]``: where each pixel of a crop comes from; P: padding."""
        size, offsets = self.size, torch.arange(-self.padding, self.padding + 1)
        here = torch.arange(size)
        y, x = offsets[:, None] + here, offsets[:, None] + here
        x = torch.stack([x, x.flip(1)], 1)  # the crop is flipped, not the image
        y, x = y[:, None, None, :, None], x[None, :, :, None, :]
        inside = (y >= 0) & (y < size) & (x >= 0) & (x < size)
        return torch.where(inside, y * size + x, size * size).reshape(-1, size * size)

    def _hole_masks(self) -> Tensor:
        """bool ``[P, P]``: which pixels Cutout makes black, for each centre."""
        here, half = torch.arange(self.size), self.cutout_side // 2
        near = (here >= here[:, None] - half) & (here < here[:, None] + half)
        return (near[:, None, :, None] & near[None, :, None, :]).reshape(self.size ** 2, -1)


def _everywhere(x: Tensor, rounds: list[PolicyRound], codes: Sequence[Tensor], size: int
                ) -> Tensor:
    for one, code in zip(rounds, codes):
        for step, _ in _STEPS:
            x = step(x, one, code, size)
    return x


def _move(x: Tensor, one: PolicyRound, code: Tensor, size: int) -> Tensor:
    source = one.source[code]
    if source.shape[1] == 1:
        return move(x, source[:, 0], _FILL)
    return move_cubic(x, source, one.part[code], _FILL)


def _map(x: Tensor, one: PolicyRound, code: Tensor, size: int) -> Tensor:
    return map_values(x, one.values[code], one.autocontrast[code], one.equalize[code])


def _blend(x: Tensor, one: PolicyRound, code: Tensor, size: int) -> Tensor:
    return blend(x, one.kind[code], one.factor[code], size)


# what a round does, and the rows of its tables for which that is something
_STEPS = ((_move, attrgetter('moves')), (_map, attrgetter('maps')), (_blend, attrgetter('blends')))
