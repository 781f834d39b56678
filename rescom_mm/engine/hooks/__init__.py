from .class_balanced_queue_hook import ClassBalancedQueueHook
from .class_counts_hook import ClassCountsHook
from .results_hook import ResultsHook

__all__ = ['ClassBalancedQueueHook', 'ClassCountsHook', 'ResultsHook']
