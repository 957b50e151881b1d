"""The use cases, one file per capability: ``(command or query, context)`` in, entity out; no framework, HTTP or SQL."""
