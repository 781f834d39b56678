"""ResCom, ResNet-50, iNaturalist 2018: 8 GPUs x 32 images, 400 epochs."""

_base_ = ['../_base_/models/resnet50.py', '../_base_/datasets/inat18.py',
          '../_base_/schedules/rescom_inat18_400e.py', '../_base_/default_runtime.py']

model = dict(
    type='SiameseClassifier',
    head=dict(num_classes=8142, loss=dict(type='SiamBSLoss')),
    projector=dict(type='NonLinearNeck', in_channels=2048, hid_channels=2048,
                   out_channels=128,  # the released builder's default [guess]
                   with_avg_pool=False, with_bias=True, with_last_bias=True, with_last_bn=False,
                   norm_cfg=dict(type='BN1d')),
    # queue and mining are lost: the rarest classes have 2 images; 500 as on ImageNet-LT [guess]
    queue=dict(type='ClassBalancedQueue', keys_per_class=2),
    # temperature and loss_weight: the paper has one pair, CIFAR-100's are known [guess, likely]
    contrastive_loss=dict(type='SPMLoss', num_positives=1, num_negatives=500, temperature=0.2,
                          beta=0.999,  # lost [guess]
                          loss_weight=0.5))
