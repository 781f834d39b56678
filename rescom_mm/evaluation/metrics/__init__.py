from .calibration_error import CalibrationError
from .shot_accuracy import SHOTS, ShotAccuracy, shot_groups

__all__ = ['SHOTS', 'CalibrationError', 'ShotAccuracy', 'shot_groups']
