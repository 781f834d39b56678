from .class_counts import draw_class_counts
from .results import draw_results, results_table

__all__ = ['draw_class_counts', 'draw_results', 'results_table']
