from .prior_adjusted_head import PriorAdjustedHead, trained_prior_of

__all__ = ['PriorAdjustedHead', 'trained_prior_of']
