"""ResCom, ResNet-32, CIFAR-100-LT at imbalance factor 10: settings of factor 100 [guess]."""

_base_ = './rescom_r32_cifar100-lt-if100.py'

train_dataloader = dict(dataset=dict(imbalance_factor=10))
