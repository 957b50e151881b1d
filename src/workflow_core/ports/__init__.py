"""What the core needs from the outside, as protocols. Fakes of the same file names stand in ``workflow_core.fakes``,
and the suites that every implementation is held to in ``workflow_core.testing``.
"""
