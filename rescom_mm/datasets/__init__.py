from .digits_lt import DigitsLT
from .imagenet_lt import ImageNetLT
from .long_tail import long_tailed_indices, long_tailed_sizes
from .long_tailed_dataset import LongTailedDataset

__all__ = ['DigitsLT', 'ImageNetLT', 'LongTailedDataset', 'long_tailed_indices',
           'long_tailed_sizes']
