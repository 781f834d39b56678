"""Hard pair mining on ImageNet-LT, ResNeXt-50: 8 keys a class, 2 positives, 500 negatives."""

_base_ = '../rescom/rescom_rx50_imagenet-lt.py'

model = dict(
    queue=dict(keys_per_class=8),
    contrastive_loss=dict(num_positives=2, num_negatives=500))
