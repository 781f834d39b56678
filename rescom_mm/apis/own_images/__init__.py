from .sources import ImageSource, Part, add_source_options, find_source

__all__ = ['ImageSource', 'Part', 'add_source_options', 'find_source']
