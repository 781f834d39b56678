from .class_counts import ClassCounts, NeedsClassCounts, count_classes, delivered_items, list_digest
from .dist import any_on_ranks, same_on_all_ranks
from .loader import iterating, rebuild_loader, stop_workers
from .memory import keep_freed_memory
from .options import check_options
from .project_folder import project_folder
from .step_flags import StepFlags
from .stop import StopRequested
from .unwrapped_model import unwrapped_model

__all__ = [
    'ClassCounts', 'NeedsClassCounts', 'StepFlags', 'StopRequested', 'any_on_ranks',
    'check_options', 'count_classes', 'delivered_items', 'iterating', 'keep_freed_memory',
    'list_digest', 'project_folder', 'rebuild_loader', 'same_on_all_ranks', 'stop_workers',
    'unwrapped_model'
]
