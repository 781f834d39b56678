"""Balanced Softmax on one view of CIFAR-10-LT at imbalance factor 10, under ResCom's recipe."""

_base_ = './balsfx_r32_cifar10-lt-if100.py'

train_dataloader = dict(dataset=dict(imbalance_factor=10))
