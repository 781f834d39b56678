"""Cross-entropy on one view of CIFAR-100-LT at imbalance factor 100, under ResCom's recipe."""

_base_ = ['../_base_/models/resnet32.py', '../_base_/datasets/cifar100_lt_one_view.py',
          '../_base_/schedules/rescom_cifar_400e.py', '../_base_/default_runtime.py']
