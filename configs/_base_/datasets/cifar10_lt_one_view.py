"""CIFAR-10-LT with one view a sample, for the baselines."""

_base_ = './cifar10_lt.py'

train_dataloader = dict(dataset=dict(pipeline=[*_base_.augmentation, dict(type='PackInputs')]))
