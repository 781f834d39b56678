"""Ablation ladder, CIFAR-100-LT (100), ResNet-32, rung 2: SupCon with one FIFO queue and Balanced Softmax."""

_base_ = './supcon-cbl-balsfx_r32_cifar100-lt-if100.py'

model = dict(contrastive_loss=dict(beta=0))
