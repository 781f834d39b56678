from .hooks import (
    BadImageHook,
    ClassBalancedQueueHook,
    ClassCountsHook,
    KeyEncoderHook,
    ResultsHook,
    ResumeHook,
    StopHook,
    WholeCheckpointHook,
)

__all__ = [
    'BadImageHook', 'ClassBalancedQueueHook', 'ClassCountsHook', 'KeyEncoderHook',
    'ResultsHook', 'ResumeHook', 'StopHook', 'WholeCheckpointHook'
]
