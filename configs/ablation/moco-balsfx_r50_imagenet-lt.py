"""Ladder on ImageNet-LT, rung 1: MoCo and Balanced Softmax.

The variant is put together from the paper's table and figure [guess]; momentum, queue size,
temperature and weight are lost: the usual 0.999, and ResCom's values [guess].
"""

_base_ = './supcon-balsfx_r50_imagenet-lt.py'

model = dict(
    key_encoder=dict(type='ExponentialMovingAverage', momentum=0.001),
    contrastive_loss=dict(_delete_=True, type='InfoNCELoss', temperature=0.2, loss_weight=0.5))
