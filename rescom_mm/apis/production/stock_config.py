"""Turns a config of this package into one for inference, made of stock components alone."""

from __future__ import annotations

import os
from copy import deepcopy
from typing import Any

from mmengine.config import Config
from mmengine.registry import Registry
from mmpretrain.registry import DATA_SAMPLERS, DATASETS, METRICS, MODELS, TRANSFORMS

from ...datasets import DigitsLT, OwnImages
from ...datasets.cifar_lt import CIFARLT
from ...datasets.list_benchmark import ListBenchmark
from ...datasets.list_file import list_entries
from ...datasets.own_images import EXTENSIONS

_STOCK = ('mmpretrain', 'mmengine', 'mmcv', 'torch', 'torchvision')
_CLASSIFIERS = ('SiameseClassifier', 'ImageClassifier')
# what training alone needs: of the model, of its parts, and of the head
_MODEL_TRAINING = ('projector', 'queue', 'contrastive_loss', 'key_encoder', 'cls_views',
                   'view_reduction', 'pretrained', 'train_cfg', 'init_cfg')
_HEAD_TRAINING = ('loss', 'of', 'test_prior', 'trained_prior')
_PREPROCESSOR_TRAINING = ('channels_last', 'augment', 'batch_augments')
#: a folder that users put their images in, where the data set has no stock equal
OWN_FOLDER = 'data/test'


def stock_config(cfg: Config) -> tuple[dict, list[str]]:
    """A config that stock mmpretrain tests and infers with.

    Args:
        cfg: with ``model`` and ``test_dataloader``.

    Returns:
        The config's content (without ``custom_imports``, unless a component has no stock equal),
        and what is not as before, a sentence each.
    """
    remarks: list[str] = []
    stock: dict[str, Any] = dict(default_scope='mmpretrain')
    stock['model'], stock['data_preprocessor'] = _model(cfg, remarks)
    stock['test_dataloader'] = _loader(cfg.get('test_dataloader') or {}, remarks)
    stock['test_evaluator'] = _metrics(cfg.get('test_evaluator'))
    stock['test_cfg'] = {}
    stock['default_hooks'] = dict(visualization=dict(type='VisualizationHook', enable=False))
    stock['visualizer'] = dict(type='UniversalVisualizer',
                               vis_backends=[dict(type='LocalVisBackend')])
    foreign = sorted(set(_foreign(stock['model'], MODELS)
                         + _foreign(stock['data_preprocessor'], MODELS)
                         + _foreign(stock['test_dataloader'], DATASETS)
                         + _foreign(stock['test_evaluator'], METRICS)))
    if foreign:
        stock['custom_imports'] = _plain(cfg.get('custom_imports')) or dict(imports=['rescom_mm'])
        remarks.append(f'{", ".join(foreign)}: no stock equal, so the pair needs '
                       f'{", ".join(stock["custom_imports"]["imports"])} installed '
                       '(custom_imports)')
    return stock, remarks


def _plain(value: Any) -> Any:
    """Plain dicts and lists of a part of a config."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(item) for item in value)
    return deepcopy(value)


def _without(options: dict, names: tuple[str, ...]) -> dict:
    return {name: value for name, value in options.items() if name not in names}


def type_name(kind: Any) -> str:
    """The name of a type, without its scope."""
    return kind.rpartition('.')[2] if isinstance(kind, str) else kind.__name__


def _model(cfg: Config, remarks: list[str]) -> tuple[dict, dict]:
    """The model, and the data preprocessor."""
    model = _plain(cfg.model)
    preprocessor = model.pop('data_preprocessor', None) or _plain(cfg.get('data_preprocessor'))
    preprocessor = preprocessor or {}
    if type_name(preprocessor.get('type', 'SiameseDataPreprocessor')) == 'SiameseDataPreprocessor':
        if preprocessor.get('channels_last'):
            remarks.append('channels_last: no stock equal; the logits are equal up to rounding')
        preprocessor = dict(_without(preprocessor, _PREPROCESSOR_TRAINING),
                            type='ClsDataPreprocessor')
    if type_name(model['type']) not in _CLASSIFIERS:
        return model, preprocessor
    model = dict(_without(model, _MODEL_TRAINING), type='ImageClassifier')
    for part in ('backbone', 'neck', 'head'):
        if isinstance(model.get(part), dict):
            model[part] = _without(model[part], ('init_cfg', ))
    backbone, head = model['backbone'], model['head']
    if type_name(backbone['type']) == 'FrozenConvResNet':
        model['backbone'] = dict(_without(backbone, ('trainable_blocks', )), type='ResNet')
    model['head'] = dict(_without(head, _HEAD_TRAINING), type=head.get('of', head['type']))
    return model, preprocessor


def _loader(loader: dict, remarks: list[str]) -> dict:
    loader = _plain(loader)
    dataset = loader.get('dataset') or {}
    if 'type' not in dataset:
        return loader
    pipeline = [dict(step, type='LoadImageFromFile')
                if type_name(step['type']) == 'LoadImage' else step
                for step in dataset.pop('pipeline', [])]
    loader['dataset'] = _dataset(dataset, remarks)
    if loader['dataset'].get('data_root') == OWN_FOLDER:  # what was in memory is in files now
        pipeline.insert(0, dict(type='LoadImageFromFile'))
    loader['dataset']['pipeline'] = pipeline
    return loader


def _dataset(dataset: dict, remarks: list[str]) -> dict:
    """A data set's stock equal, without its pipeline."""
    cls = DATASETS.get(dataset['type']) if isinstance(dataset['type'], str) else dataset['type']
    if not isinstance(cls, type):
        return dataset
    if issubclass(cls, CIFARLT) and dataset.get('split') == 'test':
        return dict(type=cls.__name__.removesuffix('LT'), split='test', test_mode=True,
                    data_root=os.path.expanduser(dataset['data_root']))
    if issubclass(cls, ListBenchmark):
        root = os.path.expanduser(dataset['data_root'])
        ann_file = dataset.get('ann_file') or cls.LISTS[dataset.get('split', 'train')]
        if _respelt(cls, os.path.join(root, ann_file), root):
            remarks.append(f'{ann_file}: its folders are not spelt as those in {root}; for stock '
                           'mmpretrain write the list with the paths that are there')
        return dict(type='CustomDataset', data_root=root, ann_file=ann_file)
    if issubclass(cls, OwnImages):
        # the stock class looks at fewer endings
        return dict(dict(extensions=EXTENSIONS), **dict(dataset, type='CustomDataset'))
    if issubclass(cls, DigitsLT):
        remarks.append(f'DigitsLT: no stock equal; test_dataloader reads the folder {OWN_FOLDER} '
                       '(one folder of images a class)')
        return dict(type='CustomDataset', data_root=OWN_FOLDER)
    return dataset


def _respelt(cls: type[ListBenchmark], ann_file: str, root: str) -> bool:
    """Whether the images of a list, where they are here, lie in folders of other names."""
    if not os.path.isfile(ann_file):
        return False
    listed = list_entries(ann_file, None)[0][1]
    return cls.read(ann_file, root)[0]['img_path'] != os.path.join(root, listed)


def _metrics(evaluator: Any) -> list[dict]:
    """Stock metrics; top-1 accuracy in the place of ``ShotAccuracy``, which has no equal."""
    metrics = _plain(evaluator) or []
    metrics = metrics if isinstance(metrics, list) else [metrics]
    kept = [metric for metric in metrics
            if type_name(metric['type']) not in ('ShotAccuracy', 'CalibrationError')]
    if not any(type_name(metric['type']) == 'Accuracy' for metric in kept):
        kept.insert(0, dict(type='Accuracy', topk=(1, )))
    return kept


def _foreign(part: Any, registry: Registry) -> list[str]:
    """Types in a part of a config that no stock package has."""
    if isinstance(part, (list, tuple)):
        return [name for item in part for name in _foreign(item, registry)]
    if not isinstance(part, dict):
        return []
    inner = dict(dataset=DATASETS, pipeline=TRANSFORMS, transforms=TRANSFORMS,
                 sampler=DATA_SAMPLERS)
    found = [name for key, value in part.items()
             for name in _foreign(value, inner.get(key, registry))]
    kind = part.get('type')
    cls = registry.get(kind) if isinstance(kind, str) else kind
    if cls is not None and cls.__module__.partition('.')[0] not in _STOCK:
        found.append(type_name(kind))
    return found
