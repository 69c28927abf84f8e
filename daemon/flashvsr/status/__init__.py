"""What the service and its queue are doing, for people and for programs.

`gather` makes a `snapshot.Snapshot`, in the service and in a command. All that is shown is a pure function of it:
systemd's line (`line`), `flashvsr status` (`overview`) and its JSON (`facts`), what `flashvsr check` says (`findings`).
"""
