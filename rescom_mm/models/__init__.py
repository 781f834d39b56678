from .backbones import FrozenConvResNet, ResNetCIFAR
from .classifiers import SiameseClassifier
from .losses import InfoNCELoss, SiamBSLoss, SPMLoss
from .queues import ClassBalancedQueue, FIFOQueue, KeyQueue, ReversedQueue
from .utils import CIFARAugment, SiameseDataPreprocessor

__all__ = [
    'CIFARAugment', 'ClassBalancedQueue', 'FIFOQueue', 'FrozenConvResNet', 'InfoNCELoss',
    'KeyQueue', 'ResNetCIFAR', 'ReversedQueue', 'SPMLoss', 'SiamBSLoss', 'SiameseClassifier',
    'SiameseDataPreprocessor'
]
