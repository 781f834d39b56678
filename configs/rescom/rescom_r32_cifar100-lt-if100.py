"""ResCom, ResNet-32, CIFAR-100-LT at imbalance factor 100: the one config that was released."""

_base_ = ['../_base_/models/resnet32.py', '../_base_/datasets/cifar100_lt.py',
          '../_base_/schedules/rescom_cifar_400e.py', '../_base_/default_runtime.py']

model = dict(
    type='SiameseClassifier',
    head=dict(loss=dict(type='SiamBSLoss')),
    projector=dict(type='NonLinearNeck', in_channels=64, hid_channels=64, out_channels=32,
                   with_avg_pool=False, with_bias=True, with_last_bias=True, with_last_bn=False,
                   norm_cfg=dict(type='BN1d')),
    queue=dict(type='ClassBalancedQueue', keys_per_class=10),
    contrastive_loss=dict(type='SPMLoss', num_positives=1, num_negatives=400, temperature=0.2,
                          beta=0.999999, loss_weight=0.5))
