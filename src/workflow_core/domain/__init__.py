"""What a workflow, its schedule, its spec and its runs are: values, legal steps, no input or output."""
