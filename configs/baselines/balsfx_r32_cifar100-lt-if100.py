"""Balanced Softmax on one view of CIFAR-100-LT at imbalance factor 100, under ResCom's recipe."""

_base_ = './ce_r32_cifar100-lt-if100.py'

model = dict(head=dict(loss=dict(type='SiamBSLoss')))
