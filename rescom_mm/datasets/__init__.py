from .digits_lt import DigitsLT
from .imagenet_lt import ImageNetLT
from .long_tail import long_tailed_indices, long_tailed_sizes
from .long_tailed_dataset import LongTailedDataset
from .transforms import (
    AutoAugmentCIFAR10,
    ClippedCutout,
    PillowOp,
    RandAugmentNonIncreasing,
)

__all__ = ['AutoAugmentCIFAR10', 'ClippedCutout', 'DigitsLT', 'ImageNetLT', 'LongTailedDataset',
           'PillowOp', 'RandAugmentNonIncreasing', 'long_tailed_indices', 'long_tailed_sizes']
