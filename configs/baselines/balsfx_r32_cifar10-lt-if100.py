"""Balanced Softmax on one view of CIFAR-10-LT at imbalance factor 100, under ResCom's recipe."""

_base_ = ['../_base_/models/resnet32.py', '../_base_/datasets/cifar10_lt_one_view.py',
          '../_base_/schedules/rescom_cifar_400e.py', '../_base_/default_runtime.py']

model = dict(head=dict(num_classes=10, loss=dict(type='SiamBSLoss')))
