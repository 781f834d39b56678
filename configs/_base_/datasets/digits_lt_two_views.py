"""Digits-LT with two views a sample."""

_base_ = './digits_lt.py'

train_dataloader = dict(dataset=dict(pipeline=[
    dict(type='TwoViews', transforms=_base_.augmentation),
    dict(type='PackInputs'),
]))
