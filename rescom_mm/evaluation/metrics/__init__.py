from .shot_accuracy import SHOTS, ShotAccuracy, shot_groups

__all__ = ['SHOTS', 'ShotAccuracy', 'shot_groups']
