from .cifar_augment import CIFARAugment
from .siamese_data_preprocessor import SiameseDataPreprocessor

__all__ = ['CIFARAugment', 'SiameseDataPreprocessor']
