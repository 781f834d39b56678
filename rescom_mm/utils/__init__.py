from .class_counts import ClassCounts, NeedsClassCounts, count_classes, delivered_items
from .dist import gather_keys, same_on_all_ranks
from .options import check_options

__all__ = [
    'ClassCounts', 'NeedsClassCounts', 'check_options', 'count_classes', 'delivered_items',
    'gather_keys', 'same_on_all_ranks'
]
