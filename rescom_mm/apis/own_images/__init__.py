"""From one's own images to lists and a config: ``tools/data/inspect.py`` and ``split.py``."""
