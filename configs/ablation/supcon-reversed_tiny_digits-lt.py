"""SupCon with a queue of the training data's class distribution reversed, on Digits-LT."""

_base_ = './supcon-balsfx_tiny_digits-lt.py'

model = dict(queue=dict(type='ReversedQueue'))
