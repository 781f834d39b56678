from .cifar10_lt import CIFAR10LT
from .cifar100_lt import CIFAR100LT
from .digits_lt import DigitsLT
from .imagenet_lt import ImageNetLT
from .inaturalist18 import INaturalist18
from .long_tail import long_tailed_indices, long_tailed_sizes
from .long_tailed_dataset import LongTailedDataset
from .places_lt import PlacesLT
from .samplers import PositionedSampler, SampleKey
from .seeded_dataset import SeededDataset
from .transforms import (
    AutoAugmentCIFAR10,
    ClippedCutout,
    PillowOp,
    RandAugmentNonIncreasing,
)

__all__ = [
    'CIFAR10LT',
    'CIFAR100LT',
    'AutoAugmentCIFAR10',
    'ClippedCutout',
    'DigitsLT',
    'INaturalist18',
    'ImageNetLT',
    'LongTailedDataset',
    'PillowOp',
    'PlacesLT',
    'PositionedSampler',
    'RandAugmentNonIncreasing',
    'SampleKey',
    'SeededDataset',
    'long_tailed_indices',
    'long_tailed_sizes',
]
