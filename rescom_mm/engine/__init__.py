from .hooks import (
    ClassBalancedQueueHook,
    ClassCountsHook,
    KeyEncoderHook,
    ResultsHook,
    ResumeHook,
    WholeCheckpointHook,
)

__all__ = ['ClassBalancedQueueHook', 'ClassCountsHook', 'KeyEncoderHook', 'ResultsHook',
           'ResumeHook', 'WholeCheckpointHook']
