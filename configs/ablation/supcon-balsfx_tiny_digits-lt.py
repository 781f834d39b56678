"""SupCon with one FIFO queue, and Balanced Softmax on the first view, on Digits-LT."""

_base_ = '../rescom/rescom_tiny_digits-lt.py'

model = dict(
    cls_views='first',
    # as many keys as ResCom's queue: 10 classes x 10
    queue=dict(_delete_=True, type='FIFOQueue', size=100),
    contrastive_loss=dict(_delete_=True, type='SPMLoss', temperature=0.2, loss_weight=0.5))
