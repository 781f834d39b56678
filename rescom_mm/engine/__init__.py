from .hooks import (
    ClassBalancedQueueHook,
    ClassCountsHook,
    FiniteHook,
    KeyEncoderHook,
    ResultsHook,
)

__all__ = ['ClassBalancedQueueHook', 'ClassCountsHook', 'FiniteHook', 'KeyEncoderHook',
           'ResultsHook']
