"""The config file for one's own images."""

from __future__ import annotations

import os
import re
from pathlib import Path

from mmengine.config import Config

from ...utils import project_folder
from .lists import CLASSES
from .sizes import Sizes
from .sources import ImageSource

#: what the config inherits where no other one is asked for
BASE = 'configs/rescom/rescom_r50_custom.py'


def config_name(source: Path) -> str:
    """A file name for the config: that of the images' folder, with letters that fit everywhere."""
    folder = source if source.is_dir() else source.parent
    return (re.sub(r'[^A-Za-z0-9_-]+', '_', folder.resolve().name).strip('_-')
            or 'own_images') + '.py'


def find_base(given: Path | None) -> Path:
    """The config to inherit: the one given, or ``rescom_r50_custom.py`` of this package.

    Raises:
        FileNotFoundError: if it does not exist; if the package was installed without its configs.
        ValueError: if the one given is for other data, or has no queue.
    """
    if given is not None:
        cfg = Config.fromfile(given)
        if (cfg.get('train_dataloader', {}).get('dataset', {}).get('type') != 'OwnImages'
                or 'queue' not in cfg.get('model', {})):
            raise ValueError(f'--base {given} is not for own images, or has no queue; give a '
                             f'config that inherits {BASE}')
        return given
    base = project_folder() / BASE
    if not base.is_file():
        raise FileNotFoundError(f'{base} does not exist; give --base, a copy of that file')
    return base


def python_text(text: str) -> str:
    """A Python string of a name that others gave, for a config.

    Where ``{{`` stood in one, mmengine would put something else there, quotes included.
    """
    return repr(text).replace('{', r'\x7b')


def config_text(source: ImageSource, out: Path, config: Path, base: Path, sizes: Sizes) -> str:
    """The text of a config that trains on the lists in ``out``.

    It inherits ``base``, so that it is short and shows what is special to the data. mmengine knows
    a base by its path alone, none by a package: it is relative within a checkout, which then can
    be moved, and absolute from elsewhere. What a run was trained with does not depend on it: the
    work directory gets the whole config, its bases in it.

    Args:
        source: the images.
        out: folder of ``train.txt``, ``test.txt`` and ``classes.txt``.
        config: where the text will go.
        base: the config that it inherits.
        sizes: of queue and mining.
    """
    base, folder = base.resolve(), config.parent.resolve()
    checkout = next((parent.parent for parent in base.parents if parent.name == 'configs'), None)
    inside = checkout is not None and (folder == checkout or checkout in folder.parents)
    inherited = Path(os.path.relpath(base, folder)).as_posix() if inside else str(base)
    where = os.path.join(out.resolve(), '')
    val = 'val.txt' if 'val' in source.parts else 'test.txt'
    lines = [
        f'"""ResCom on own images, {len(source.classes)} classes; by tools/data/inspect.py."""',
        '',
        f'_base_ = {python_text(inherited)}',
        '',
        f'data_root = {python_text(str(source.root.resolve()))}  # paths in the lists start here',
        f'lists = {python_text(where)}',
        '']
    for loader, file in (('train', 'train.txt'), ('val', val), ('test', 'test.txt')):
        lines += [f'{loader}_dataloader = dict(dataset=dict(',
                  f"    data_root=data_root, data_prefix='', ann_file=lists + {file!r},",
                  f'    classes=lists + {CLASSES!r}))']
    lines += [
        'model = dict(',
        f'    head=dict(num_classes={len(source.classes)}),',
        f'    queue=dict(keys_per_class={sizes.keys_per_class}),',
        f'    contrastive_loss=dict(num_positives={sizes.num_positives}, '
        f'num_negatives={sizes.num_negatives}))',
        '',
        f'# To change more, write a second config with _base_ = {config.name!r}:',
        '# another `model = ...` in this file would replace the one above.',
        '']
    return '\n'.join(lines)
