"""The service process: watches the inboxes, keeps workers alive, tells systemd. It never touches a video."""
