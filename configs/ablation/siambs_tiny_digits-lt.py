"""Siamese Balanced Softmax alone on Digits-LT: ResCom without its contrastive branch."""

_base_ = '../rescom/rescom_tiny_digits-lt.py'

model = dict(projector=None, queue=None, contrastive_loss=None)
