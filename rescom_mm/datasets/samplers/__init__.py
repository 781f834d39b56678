from .positioned_sampler import PositionedSampler, SampleKey

__all__ = ['PositionedSampler', 'SampleKey']
