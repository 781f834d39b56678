"""ResCom, ResNet-50, ImageNet-LT: 8 GPUs x 32 images, 400 epochs."""

_base_ = ['../_base_/models/resnet50.py', '../_base_/datasets/imagenet_lt.py',
          '../_base_/schedules/rescom_400e.py', '../_base_/default_runtime.py']

model = dict(
    type='SiameseClassifier',
    head=dict(loss=dict(type='SiamBSLoss')),
    projector=dict(type='NonLinearNeck', in_channels=2048, hid_channels=2048,
                   out_channels=128,  # lost; the released builder's default [guess]
                   with_avg_pool=False, with_bias=True, with_last_bias=True, with_last_bn=False,
                   norm_cfg=dict(type='BN1d')),
    # 4, 1, 500 are the paper's for ResNeXt-50, taken for ResNet-50 too [guess]
    queue=dict(type='ClassBalancedQueue', keys_per_class=4),
    # temperature and loss_weight are those of CIFAR-100: the paper has one pair [guess, likely];
    # beta is lost: the paper found a value inside 0 ... 0.99999 best [guess]
    contrastive_loss=dict(type='SPMLoss', num_positives=1, num_negatives=500, temperature=0.2,
                          beta=0.999, loss_weight=0.5))
