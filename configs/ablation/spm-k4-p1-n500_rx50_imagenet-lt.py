"""Hard pair mining on ImageNet-LT, ResNeXt-50: 4 keys a class, 1 positive, 500 negatives."""

_base_ = '../rescom/rescom_rx50_imagenet-lt.py'

model = dict(
    queue=dict(keys_per_class=4),
    contrastive_loss=dict(num_positives=1, num_negatives=500))
