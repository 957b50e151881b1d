"""What the clients of other HTTP services share: one exchange, bounded in time and size."""
