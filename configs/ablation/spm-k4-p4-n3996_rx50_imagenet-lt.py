"""Hard pair mining on ImageNet-LT, ResNeXt-50: 4 keys a class, 4 positives, 3996 negatives."""

_base_ = '../rescom/rescom_rx50_imagenet-lt.py'

model = dict(
    queue=dict(keys_per_class=4),
    contrastive_loss=dict(num_positives=4, num_negatives=3996))
