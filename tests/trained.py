"""Full training checkpoints, without the training."""

import torch
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS
from torch import nn


def full_model(cfg):
    """A config's model as a training has it, in evaluation mode; random, but always the same."""
    with DefaultScope.overwrite_default_scope('mmpretrain'), torch.random.fork_rng():
        torch.manual_seed(0)
        model = MODELS.build(dict(
            cfg.model, data_preprocessor=dict(cfg.model.get('data_preprocessor')
                                              or cfg.data_preprocessor)))
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
    return model.eval()


def save_training(file, model, classes, counts):
    """A checkpoint with what mmengine and ClassCountsHook put into it."""
    meta = dict(epoch=3, iter=9, cfg='not = "for export"', dataset_meta=dict(
        classes=tuple(classes), class_counts=dict(images=list(counts), samples=list(counts))))
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    momentum = {name: value + 1 for name, value in model.state_dict().items()}
    torch.save(dict(meta=meta, state_dict=model.state_dict(), message_hub={},
                    optimizer=dict(optimizer.state_dict(), momentum=momentum)), file)

