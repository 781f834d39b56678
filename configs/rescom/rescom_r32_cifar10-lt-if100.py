"""ResCom, ResNet-32, CIFAR-10-LT at imbalance factor 100.

The settings are lost. The paper's gradient figure shows 100 positives and about 900 negatives,
which means 100 keys a class [from the figure]; 10 keeps the share of positives that is mined on
CIFAR-100, 400 its number of negatives [guess]; the rest is CIFAR-100's [guess].
"""

_base_ = ['../_base_/models/resnet32.py', '../_base_/datasets/cifar10_lt.py',
          '../_base_/schedules/rescom_cifar_400e.py', '../_base_/default_runtime.py']

model = dict(
    type='SiameseClassifier',
    head=dict(num_classes=10, loss=dict(type='SiamBSLoss')),
    projector=dict(type='NonLinearNeck', in_channels=64, hid_channels=64, out_channels=32,
                   with_avg_pool=False, with_bias=True, with_last_bias=True, with_last_bn=False,
                   norm_cfg=dict(type='BN1d')),
    queue=dict(type='ClassBalancedQueue', keys_per_class=100),
    contrastive_loss=dict(type='SPMLoss', num_positives=10, num_negatives=400, temperature=0.2,
                          beta=0.999999, loss_weight=0.5))
