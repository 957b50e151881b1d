"""Use cases that change something on behalf of a caller."""
