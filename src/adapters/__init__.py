"""What the outside is made of: each package implements one port of ``workflow_core``."""
