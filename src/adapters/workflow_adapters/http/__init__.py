"""The common part of HTTP clients: one exchange, bounded in time and size."""
