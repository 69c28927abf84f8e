"""What the service and its queue are doing, for people and for programs.

`gather` makes a `snapshot.Snapshot`, in the service and in a command: the one place that knows the order of jobs, what
each is doing (`phase`), and when it will be done (`queue_times`). All that is shown is a pure function of it: systemd's
line (`line`), `flashvsr status` (`overview`, `job_page`), its JSON (`facts`), what `flashvsr check` says (`findings`).
"""
