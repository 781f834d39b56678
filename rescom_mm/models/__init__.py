from .backbones import FrozenConvResNet, ResNetCIFAR
from .classifiers import SiameseClassifier
from .heads import PriorAdjustedHead
from .losses import InfoNCELoss, SiamBSLoss, SPMLoss
from .queues import ClassBalancedQueue, FIFOQueue, KeyQueue, ReversedQueue
from .utils import CIFARAugment, SiameseDataPreprocessor

__all__ = [
    'CIFARAugment', 'ClassBalancedQueue', 'FIFOQueue', 'FrozenConvResNet', 'InfoNCELoss',
    'KeyQueue', 'PriorAdjustedHead', 'ResNetCIFAR', 'ReversedQueue', 'SPMLoss', 'SiamBSLoss',
    'SiameseClassifier', 'SiameseDataPreprocessor'
]
