from .hooks import ClassBalancedQueueHook, ClassCountsHook, KeyEncoderHook, ResultsHook

__all__ = ['ClassBalancedQueueHook', 'ClassCountsHook', 'KeyEncoderHook', 'ResultsHook']
