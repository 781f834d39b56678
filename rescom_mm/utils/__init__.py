from .class_counts import ClassCounts, NeedsClassCounts, count_classes, delivered_items, list_digest
from .dist import gather_keys, same_on_all_ranks
from .loader import rebuild_loader
from .options import check_options
from .stop import StopRequested

__all__ = [
    'ClassCounts', 'NeedsClassCounts', 'StopRequested', 'check_options', 'count_classes',
    'delivered_items', 'gather_keys', 'list_digest', 'rebuild_loader', 'same_on_all_ranks'
]
