"""Balanced Softmax on one view of CIFAR-100-LT at imbalance factor 50, under ResCom's recipe."""

_base_ = './balsfx_r32_cifar100-lt-if100.py'

train_dataloader = dict(dataset=dict(imbalance_factor=50))
