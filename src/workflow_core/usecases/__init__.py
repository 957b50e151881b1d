"""What the system does, one file per capability: ``(command, context)`` in, entity out. No framework, no HTTP, no SQL."""
