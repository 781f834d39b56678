from .metrics import CalibrationError, ShotAccuracy

__all__ = ['CalibrationError', 'ShotAccuracy']
