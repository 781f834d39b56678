"""ResCom on Digits-LT: the quick start."""

_base_ = ['../_base_/models/tiny.py', '../_base_/datasets/digits_lt_two_views.py',
          '../_base_/schedules/digits.py', '../_base_/digits_runtime.py']

model = dict(
    type='SiameseClassifier',
    head=dict(loss=dict(type='SiamBSLoss')),
    projector=dict(type='NonLinearNeck', in_channels=64, hid_channels=64, out_channels=32,
                   with_avg_pool=False, with_bias=True, with_last_bias=True, with_last_bn=False,
                   norm_cfg=dict(type='BN1d')),
    queue=dict(type='ClassBalancedQueue', keys_per_class=10),
    contrastive_loss=dict(type='SPMLoss', num_positives=1, num_negatives=40, temperature=0.2,
                          beta=0.99, loss_weight=0.5))
