"""CIFAR-10-LT at imbalance factor 100, two views a sample; otherwise as CIFAR-100-LT."""

_base_ = './cifar100_lt.py'

data_root = 'data/cifar10'

data_preprocessor = dict(num_classes=10)

train_dataloader = dict(dataset=dict(type='CIFAR10LT', data_root=data_root))
val_dataloader = dict(dataset=dict(type='CIFAR10LT', data_root=data_root))
test_dataloader = dict(dataset=dict(type='CIFAR10LT', data_root=data_root))
