from .cifar10_lt import CIFAR10LT
from .cifar100_lt import CIFAR100LT
from .digits_lt import DigitsLT
from .imagenet_lt import ImageNetLT
from .inaturalist18 import INaturalist18
from .long_tail import long_tailed_indices, long_tailed_sizes
from .long_tailed_dataset import LongTailedDataset
from .own_images import OwnImages
from .places_lt import PlacesLT
from .samplers import PositionedSampler, SampleKey
from .seeded_dataset import SeededDataset
from .transforms import (
    AutoAugmentCIFAR10,
    ClippedCutout,
    FastColorJitter,
    LoadImage,
    PaddedCropAndFlip,
    PillowOp,
    RandAugmentNonIncreasing,
    ResizedCropAndFlip,
    TwoViews,
    UndecodableImage,
)

__all__ = [
    'CIFAR10LT',
    'CIFAR100LT',
    'AutoAugmentCIFAR10',
    'ClippedCutout',
    'DigitsLT',
    'FastColorJitter',
    'INaturalist18',
    'ImageNetLT',
    'LoadImage',
    'LongTailedDataset',
    'OwnImages',
    'PaddedCropAndFlip',
    'PillowOp',
    'PlacesLT',
    'PositionedSampler',
    'RandAugmentNonIncreasing',
    'ResizedCropAndFlip',
    'SampleKey',
    'SeededDataset',
    'TwoViews',
    'UndecodableImage',
    'long_tailed_indices',
    'long_tailed_sizes',
]
