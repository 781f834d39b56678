"""The exception by which a run that has to stop leaves its loops."""


class StopRequested(Exception):  # noqa: N818  no error
    """Raised by a hook where a run has to end early, inside training or validation.

    The loops let it pass and leave their counters as they are, so that who catches it can still
    save a checkpoint; a validation that it cut short is run again at the resume.
    """
