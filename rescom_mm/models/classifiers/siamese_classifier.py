from __future__ import annotations

from typing import Any

import torch
from mmengine.model import BaseAveragedModel
from mmpretrain.models import ImageClassifier
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from ...utils import check_options
from ..queues import KeyQueue
from .key_encoder import ProjectionEncoder, build_key_encoder, project
from .probe import fill_widths, probe_shapes


@MODELS.register_module()
@check_options
class SiameseClassifier(ImageClassifier):
    """An image classifier trained on two views of each image (ResCom).

    One pass of backbone and neck over all ``2B`` rows serves two branches: the head classifies the
    views; the projector's L2-normalised output is contrasted with the batch and with the keys of
    the queue. The model only stages its keys; ``ClassBalancedQueueHook`` writes them after
    the optimiser step. At test time it is an ``ImageClassifier``: backbone, neck and head.

    Args:
        backbone: any mmpretrain backbone.
        neck: any mmpretrain neck, or a list of them.
        head: any mmpretrain head with ``pre_logits`` and ``loss``, its loss usually
            ``SiamBSLoss``. Its ``in_channels``, left out or None, is read off the backbone.
        projector: a neck that maps the head's pre-logits ``[N, F]`` to ``[N, D]``; needed with a
            ``contrastive_loss``. Its ``in_channels``, left out or None, is F, and ``hid_channels``
            is ``in_channels``.
        queue: a key queue; ``num_classes`` and ``feat_dim`` default to the head's and the
            projector's.
        contrastive_loss: takes ``(z_MD, labels_M, queue)``; None leaves the classification loss
            alone.
        key_encoder: MoCo's momentum encoder, for instance
            ``dict(type='ExponentialMovingAverage', momentum=0.001)`` (the share of the new
            weights: MoCo writes 0.999). View 2 of the contrastive loss, and the keys for the
            queue, then come without gradient from a moving average of backbone, neck, head and
            projector, which ``KeyEncoderHook`` moves after each optimiser step. (Batches are not
            shuffled over the ranks as in MoCo, and need two images where a layer is a batch norm of
            vectors.) None for one shared encoder.
        cls_views: views that the head learns from, ``'both'`` or ``'first'``.
        view_reduction: whether the classification loss is the ``'mean'`` over the views or
            their ``'sum'``.
        pretrained: as in ``ImageClassifier``.
        train_cfg: as in ``ImageClassifier``.
        data_preprocessor: ``SiameseDataPreprocessor`` where no type is given.
        init_cfg: as in ``ImageClassifier``.

    Examples:
        >>> import torch
        >>> from mmpretrain.structures import DataSample
        >>> from rescom_mm.models import SiameseClassifier
        >>> model = SiameseClassifier(
        ...     backbone=dict(type='ResNet', depth=18),
        ...     neck=dict(type='GlobalAveragePooling'),
        ...     head=dict(type='LinearClsHead', num_classes=3,
        ...               loss=dict(type='SiamBSLoss', class_counts=[9, 4, 2])),
        ...     projector=dict(type='NonLinearNeck', out_channels=32, with_avg_pool=False,
        ...                    with_last_bn=False, norm_cfg=dict(type='BN1d')),
        ...     queue=dict(type='ClassBalancedQueue', keys_per_class=4),
        ...     contrastive_loss=dict(type='SPMLoss', num_positives=1, num_negatives=8))
        >>> samples = [DataSample().set_gt_label(label) for label in (0, 2)]
        >>> views = torch.rand(4, 3, 64, 64)  # both images' view 1, then both images' view 2
        >>> sorted(model(views, samples, mode='loss'))
        ['loss_cls', 'loss_con']
        >>> len(model(torch.rand(2, 3, 64, 64), mode='predict'))
        2
    """

    def __init__(self, backbone: dict, neck: dict | list | None = None, head: dict | None = None,
                 projector: dict | None = None, queue: dict | None = None,
                 contrastive_loss: dict | None = None, key_encoder: dict | None = None,
                 cls_views: str = 'both', view_reduction: str = 'mean',
                 pretrained: str | None = None, train_cfg: dict | None = None,
                 data_preprocessor: dict | None = None,
                 init_cfg: dict | list | None = None) -> None:
        if cls_views not in ('both', 'first'):
            raise ValueError(f"model.cls_views must be 'both' or 'first', got {cls_views!r}")
        if view_reduction not in ('mean', 'sum'):
            raise ValueError(f"model.view_reduction must be 'mean' or 'sum', got "
                             f'{view_reduction!r}')
        if head is None:
            raise ValueError('model.head is not set; a SiameseClassifier needs one, for instance '
                             "dict(type='LinearClsHead', ...)")
        if data_preprocessor is None or isinstance(data_preprocessor, dict):
            data_preprocessor = dict(data_preprocessor or {})
            data_preprocessor.setdefault('type', 'SiameseDataPreprocessor')
        encoder: Any = _build(backbone), _build(neck)
        head = fill_widths('head', head, *encoder)
        super().__init__(*encoder, head, pretrained, train_cfg, data_preprocessor, init_cfg)
        self.cls_views = cls_views
        self.view_reduction = view_reduction
        self.projector: nn.Module | None = _build(
            fill_widths('projector', projector, self.backbone, self.neck, self.head))
        self.contrastive_loss: nn.Module | None = _build(contrastive_loss)
        self.queue: KeyQueue | None = None
        self._build_contrastive_branch(queue, key_encoder)
        self.key_encoder: BaseAveragedModel | None = None
        if key_encoder is not None:
            self.key_encoder = build_key_encoder(self, key_encoder)

    def _build_contrastive_branch(self, queue: Any, key_encoder: Any) -> None:
        """Builds the queue with the widths of head and projector, and checks that all fit."""
        if self.contrastive_loss is None:
            for name, part in (('projector', self.projector), ('queue', queue),
                               ('key_encoder', key_encoder)):
                if part is not None:
                    raise ValueError(f'model.{name} is set but model.contrastive_loss is not, so '
                                     f'it would do nothing; add a loss or remove model.{name}')
            return
        if self.projector is None:
            raise ValueError('model.contrastive_loss needs model.projector, for instance '
                             "dict(type='NonLinearNeck', ...); configs/rescom/ has examples")
        feat_dim = probe_shapes(self)
        num_classes = getattr(self.head, 'num_classes', None)
        if isinstance(queue, dict):
            queue = dict(queue)
            if num_classes is not None:
                queue.setdefault('num_classes', num_classes)
            if feat_dim is not None:
                queue.setdefault('feat_dim', feat_dim)
        self.queue = _build(queue)
        if self.queue is not None:
            if feat_dim is not None and self.queue.feat_dim != feat_dim:
                raise ValueError(
                    f'model.queue.feat_dim={self.queue.feat_dim} but the projector gives '
                    f'{feat_dim} values a row; make them equal, or leave feat_dim out')
            if num_classes is not None and self.queue.num_classes != num_classes:
                raise ValueError(
                    f'model.queue.num_classes={self.queue.num_classes} but '
                    f'model.head.num_classes={num_classes}; make them equal, or leave the '
                    "queue's out")
        check = getattr(self.contrastive_loss, 'check_queue', None)
        if callable(check):
            check(self.queue)

    def loss(self, inputs: Tensor, data_samples: list[DataSample]) -> dict[str, Tensor]:
        """Computes the losses of a two-view batch.

        Args:
            inputs: ``[2B, 3, H, W]``, all of view 1 first.
            data_samples: B samples, one label each.

        Returns:
            ``loss_cls`` (with whatever else the head reports), and ``loss_con``.
        """
        B = len(data_samples)
        if len(inputs) != 2 * B:
            raise ValueError(
                f'{len(inputs)} images for {B} samples: training a SiameseClassifier needs two '
                'views of each; wrap the augmentations of train_dataloader.dataset.pipeline in '
                "dict(type='TwoViews', transforms=[...]), and use "
                'SiameseDataPreprocessor')
        labels_B = torch.cat([sample.gt_label for sample in data_samples])
        if len(labels_B) != B:
            raise ValueError(f'{B} samples carry {len(labels_B)} labels: multi-label data; '
                             'rescom_mm needs exactly one class id an image')
        # with a key encoder the encoder needs no view 2, unless the head learns from it
        queries_only = self.key_encoder is not None and self.cls_views == 'first'
        feats = self.extract_feat(inputs[:B] if queries_only else inputs)
        losses = self._classification_losses(feats, data_samples)
        if self.contrastive_loss is not None:
            if self.key_encoder is None:
                z_MD = self.project(feats)
                keys_VBD = z_MD.unflatten(0, (2, B))
            else:
                with torch.no_grad():
                    keys_BD = self.key_encoder(inputs[B:])
                z_MD = torch.cat([self.project(_rows(feats, B)), keys_BD])
                keys_VBD = keys_BD.expand(2, -1, -1)  # whichever view the hook enqueues
            losses['loss_con'] = self.contrastive_loss(z_MD, labels_B.repeat(2), self.queue)
            if self.queue is not None and self.training:
                self.queue.stage(keys_VBD, labels_B)
        return losses

    def _classification_losses(self, feats: Any, samples: list[DataSample]) -> dict[str, Tensor]:
        if self.cls_views == 'first':
            losses = self.head.loss(_rows(feats, len(samples)), samples)
        else:
            losses = self.head.loss(feats, samples * 2)
        views = 2 if self.cls_views == 'both' and self.view_reduction == 'sum' else 1
        # mmengine sums whatever has 'loss' in its name and calls the sum 'loss'
        return {key.replace('loss', 'loss_cls', 1): value * views if 'loss' in key else value
                for key, value in losses.items()}

    def project(self, feats: Any) -> Tensor:
        """L2-normalised float32 projections ``[N, D]`` of the neck's features."""
        return project(self.head, self.projector, feats)

    @property
    def key_encoder_steps(self) -> int:
        """Updates of the key encoder so far, its start as a copy being the first."""
        return 0 if self.key_encoder is None else int(self.key_encoder.steps)

    def reset_key_encoder(self) -> None:
        """Makes the key encoder, where there is one, a copy of the encoder."""
        if self.key_encoder is not None:
            self.key_encoder.steps.zero_()
            self.update_key_encoder()

    def update_key_encoder(self) -> None:
        """Moves the key encoder, where there is one, towards the encoder; the first call after a
        reset copies.

        Its buffers (statistics of normalisation layers) are the encoder's.
        """
        if self.key_encoder is None:
            return
        # mmengine reads the number of updates on the host; on a GPU every step would wait for it
        self.key_encoder.steps = self.key_encoder.steps.cpu()
        self.key_encoder.update_parameters(ProjectionEncoder(self))


def _build(module: Any) -> Any:
    return MODELS.build(module) if isinstance(module, (dict, list)) else module


def _rows(feats: Any, n: int) -> Any:
    """The first n rows of a tensor, or of all tensors in nested sequences."""
    if isinstance(feats, Tensor):
        return feats[:n]
    return type(feats)(_rows(part, n) for part in feats)
