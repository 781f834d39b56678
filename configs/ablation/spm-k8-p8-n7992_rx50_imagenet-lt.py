"""Hard pair mining on ImageNet-LT, ResNeXt-50: 8 keys a class, 8 positives, 7992 negatives."""

_base_ = '../rescom/rescom_rx50_imagenet-lt.py'

model = dict(
    queue=dict(keys_per_class=8),
    contrastive_loss=dict(num_positives=8, num_negatives=7992))
