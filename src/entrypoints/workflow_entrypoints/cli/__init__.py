"""The ``dli`` command. Modules are imported inside the commands that need them: the start must be fast."""
