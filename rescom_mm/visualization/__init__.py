from .results import draw_results, results_table

__all__ = ['draw_results', 'results_table']
