"""Ladder on ImageNet-LT, rung 1: MoCo and Balanced Softmax.

The momentum is lost; 0.999 is the usual one [guess].
"""

_base_ = './supcon-balsfx_r50_imagenet-lt.py'

model = dict(
    key_encoder=dict(type='ExponentialMovingAverage', momentum=0.001),
    contrastive_loss=dict(_delete_=True, type='InfoNCELoss', temperature=0.2, loss_weight=0.5))
default_hooks = dict(queue=dict(enqueue_view='second'))
