from .hooks import ClassBalancedQueueHook, ClassCountsHook, ResultsHook

__all__ = ['ClassBalancedQueueHook', 'ClassCountsHook', 'ResultsHook']
