from .auto_augment import AutoAugmentCIFAR10, RandAugmentNonIncreasing
from .clipped_cutout import ClippedCutout
from .load_image import LoadImage, UndecodableImage
from .pillow_op import PillowOp

__all__ = ['AutoAugmentCIFAR10', 'ClippedCutout', 'LoadImage', 'PillowOp',
           'RandAugmentNonIncreasing', 'UndecodableImage']
