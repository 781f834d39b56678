from .bad_image_hook import BadImageHook
from .class_balanced_queue_hook import ClassBalancedQueueHook
from .class_counts_hook import ClassCountsHook
from .key_encoder_hook import KeyEncoderHook
from .results_hook import ResultsHook

__all__ = ['BadImageHook', 'ClassBalancedQueueHook', 'ClassCountsHook', 'KeyEncoderHook',
           'ResultsHook']
