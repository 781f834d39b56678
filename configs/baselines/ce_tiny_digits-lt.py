"""Cross-entropy on one view of Digits-LT."""

_base_ = ['../_base_/models/tiny.py', '../_base_/datasets/digits_lt.py',
          '../_base_/schedules/digits.py', '../_base_/digits_runtime.py']
