"""The interfaces through which use cases reach other systems.

``workflow_core.fakes`` has an implementation of each in memory, and ``workflow_core.testing`` the suite that verifies every implementation.
"""
