"""Balanced Softmax on one view of Digits-LT."""

_base_ = './ce_tiny_digits-lt.py'

model = dict(head=dict(loss=dict(type='SiamBSLoss')))
