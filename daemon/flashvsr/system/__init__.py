"""What the process has from its machine."""
