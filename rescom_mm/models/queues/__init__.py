from .class_balanced_queue import ClassBalancedQueue
from .fifo_queue import FIFOQueue
from .key_queue import KeyQueue

__all__ = ['ClassBalancedQueue', 'FIFOQueue', 'KeyQueue']
