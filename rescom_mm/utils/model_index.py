from __future__ import annotations

from typing import Any

from mmpretrain.apis.model import ModelHub

from .project_folder import project_folder


def announce_models() -> None:
    """Makes mmpretrain know the configs by name: ``get_model``, ``list_models`` and inferencers.

    ``model-index.yml`` is read when they are first asked for a name, as mmpretrain's own is (to
    read it takes as long as an import). Where there is none, as in a source tree without its
    ``configs/``, or where somebody has registered it, nothing is added.
    """
    stock = ModelHub._register_mmpretrain_models  # what each look-up calls first
    waiting = True

    def register(hub: Any) -> None:
        nonlocal waiting
        stock()
        if waiting:
            waiting = False
            _register(hub)

    ModelHub._register_mmpretrain_models = classmethod(register)


def _register(hub: Any) -> None:
    folder = project_folder()
    index = folder / 'model-index.yml'
    names = {file.stem for file in folder.glob('configs/[!_]*/*.py')}
    if index.is_file() and not names & hub._models_dict.keys():
        hub.register_model_index(index, config_prefix=folder)
