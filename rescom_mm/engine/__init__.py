from .hooks import (
    ClassBalancedQueueHook,
    ClassCountsHook,
    KeyEncoderHook,
    ResultsHook,
    ResumeHook,
    StopHook,
    WholeCheckpointHook,
)

__all__ = [
    'ClassBalancedQueueHook', 'ClassCountsHook', 'KeyEncoderHook', 'ResultsHook', 'ResumeHook',
    'StopHook', 'WholeCheckpointHook'
]
