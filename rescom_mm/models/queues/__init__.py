from .class_balanced_queue import ClassBalancedQueue
from .fifo_queue import FIFOQueue
from .key_queue import KeyQueue
from .reversed_queue import ReversedQueue

__all__ = ['ClassBalancedQueue', 'FIFOQueue', 'KeyQueue', 'ReversedQueue']
