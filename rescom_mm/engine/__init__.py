from .hooks import (
    ClassBalancedQueueHook,
    ClassCountsHook,
    KeyEncoderHook,
    ResultsHook,
    StopHook,
    WholeCheckpointHook,
)

__all__ = ['ClassBalancedQueueHook', 'ClassCountsHook', 'KeyEncoderHook', 'ResultsHook',
           'StopHook', 'WholeCheckpointHook']
