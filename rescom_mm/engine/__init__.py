from .hooks import (
    BadImageHook,
    ClassBalancedQueueHook,
    ClassCountsHook,
    FiniteHook,
    KeyEncoderHook,
    ResidentDataHook,
    ResultsHook,
    ResumeHook,
    StopHook,
    WholeCheckpointHook,
)
from .optimizers import BFloat16OptimWrapper

__all__ = [
    'BFloat16OptimWrapper', 'BadImageHook', 'ClassBalancedQueueHook', 'ClassCountsHook',
    'FiniteHook', 'KeyEncoderHook', 'ResidentDataHook', 'ResultsHook', 'ResumeHook', 'StopHook',
    'WholeCheckpointHook'
]
