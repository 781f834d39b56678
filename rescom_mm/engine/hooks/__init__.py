from .class_balanced_queue_hook import ClassBalancedQueueHook
from .class_counts_hook import ClassCountsHook
from .finite_hook import FiniteHook
from .key_encoder_hook import KeyEncoderHook
from .results_hook import ResultsHook

__all__ = ['ClassBalancedQueueHook', 'ClassCountsHook', 'FiniteHook', 'KeyEncoderHook',
           'ResultsHook']
