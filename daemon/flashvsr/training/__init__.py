"""Making the embedded nano model. Nothing of the service imports this."""
