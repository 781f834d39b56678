from ...utils import keep_freed_memory
from .auto_augment import AutoAugmentCIFAR10, RandAugmentNonIncreasing
from .clipped_cutout import ClippedCutout
from .color_jitter import FastColorJitter
from .crops import PaddedCropAndFlip, ResizedCropAndFlip
from .load_image import LoadImage, UndecodableImage
from .pillow_op import PillowOp
from .two_views import TwoViews

__all__ = [
           'AutoAugmentCIFAR10',
           'ClippedCutout',
           'FastColorJitter',
           'LoadImage',
           'PaddedCropAndFlip',
           'PillowOp',
           'RandAugmentNonIncreasing',
           'ResizedCropAndFlip',
           'TwoViews',
           'UndecodableImage',
]

keep_freed_memory()  # in each process that loads images
