from .bad_image_hook import BadImageHook
from .checkpoint_hook import WholeCheckpointHook
from .class_balanced_queue_hook import ClassBalancedQueueHook
from .class_counts_hook import ClassCountsHook
from .finite_hook import FiniteHook
from .key_encoder_hook import KeyEncoderHook
from .resident_data_hook import ResidentDataHook
from .results_hook import ResultsHook
from .resume_hook import ResumeHook
from .stop_hook import StopHook

__all__ = [
    'BadImageHook', 'ClassBalancedQueueHook', 'ClassCountsHook', 'FiniteHook', 'KeyEncoderHook',
    'ResidentDataHook', 'ResultsHook', 'ResumeHook', 'StopHook', 'WholeCheckpointHook'
]
