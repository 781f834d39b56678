"""Ladder on ImageNet-LT, rung 2: SupCon with one FIFO queue and Balanced Softmax."""

_base_ = './supcon-cbl-balsfx_r50_imagenet-lt.py'

model = dict(contrastive_loss=dict(beta=0))
