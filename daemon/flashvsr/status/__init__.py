"""What the service and its queue are doing, for people and for programs."""
