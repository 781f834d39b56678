from .siamese_data_preprocessor import SiameseDataPreprocessor

__all__ = ['SiameseDataPreprocessor']
