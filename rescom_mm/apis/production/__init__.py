"""From a training to an inference model: ``tools/model/``."""
