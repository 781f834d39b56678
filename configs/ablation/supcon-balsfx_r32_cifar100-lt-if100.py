"""Ladder on CIFAR-100-LT IF100, rung 2: SupCon with one FIFO queue and Balanced Softmax."""

_base_ = './supcon-cbl-balsfx_r32_cifar100-lt-if100.py'

model = dict(contrastive_loss=dict(beta=0))
