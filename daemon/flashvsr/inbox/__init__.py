"""Inboxes: notice a file, wait until it stands still, make it a job."""
