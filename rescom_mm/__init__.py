"""ResCom (Rebalanced Siamese Contrastive Mining) for long-tailed images, on OpenMMLab.

Importing the package registers its components in mmpretrain's registries; a config does it with
``custom_imports = dict(imports=['rescom_mm'], allow_failed_imports=False)``.
"""

from .version import __version__  # isort: skip
from . import compat  # isort: skip

compat.apply()  # before anything imports mmpretrain's submodules

from . import datasets, engine, evaluation, models  # noqa: E402
from .utils.model_index import announce_models  # noqa: E402

announce_models()

__all__ = ['__version__', 'datasets', 'engine', 'evaluation', 'models']
