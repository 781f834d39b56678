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

__all__ = [
    'BadImageHook', 'ClassBalancedQueueHook', 'ClassCountsHook', 'FiniteHook',
    'KeyEncoderHook', 'ResidentDataHook', 'ResultsHook', 'ResumeHook', 'StopHook',
    'WholeCheckpointHook'
]
