from .hooks import (
    BadImageHook,
    ClassBalancedQueueHook,
    ClassCountsHook,
    KeyEncoderHook,
    ResultsHook,
)

__all__ = ['BadImageHook', 'ClassBalancedQueueHook', 'ClassCountsHook', 'KeyEncoderHook',
           'ResultsHook']
