"""The queue: its parts over one database."""

from __future__ import annotations

from pathlib import Path

from flashvsr.files.filesystems import MOUNTINFO
from flashvsr.files.state import StateDirectory
from flashvsr.jobs.backends.sqlite.connector import SQLite
from flashvsr.jobs.claims import Claims
from flashvsr.jobs.figures import Figures
from flashvsr.jobs.forecasts import Forecasts
from flashvsr.jobs.history import History
from flashvsr.jobs.inbox_view import InboxView
from flashvsr.jobs.intake import Intake
from flashvsr.jobs.ledger import Ledger
from flashvsr.jobs.notices import Notices
from flashvsr.jobs.rates import Rates
from flashvsr.jobs.requests import Requests
from flashvsr.jobs.store import Store
from flashvsr.jobs.table import JobTable
from flashvsr.jobs.worker_table import WorkerTable


class Queue:
    """The queue of one service. Every process opens its own; the threads of a process may share one.

    - `jobs`: the jobs there are, how many in which state; and how a row is changed inside a transaction
    - `intake`: files become jobs, keep them under new names, and wait while their inbox is held
    - `claims`: a worker takes a job, keeps it alive, publishes it, ends it or puts it back
    - `requests`: what a person asks: try it again, cancel it
    - `history`: what is left to do about jobs that have ended, and for how long they are remembered
    - `workers`: which worker processes there are and what each is doing
    - `forecasts`: what will be made of jobs that wait
    - `inboxes`: the jobs of some inboxes
    - `rates`: how fast jobs were, by device, model and size
    - `notices`: what is to be told to people
    - `figures`: the queue in numbers
    - `ledger`: a copy of each ended job beside the database
    - `store`: transactions, for several steps that belong together

    `Queue(state)` opens, creates or migrates `<state>/queue.db`; `path`: of another database in that directory, such
    as one that is still being made. Raises BadConfig on a network file system, a newer schema or a directory that
    cannot be used. Every change of state is one transaction that is on the disk when the method returns. All methods
    raise Transient while the database cannot be used (disk full, locked for 30 s), and Damaged when it turns out to
    be, see `flashvsr.jobs.damage`.
    """

    def __init__(self, state: Path, mountinfo: Path = MOUNTINFO, path: Path | None = None) -> None:
        self.state = StateDirectory(state)
        self.path = path or self.state.database
        self.store = Store(SQLite(self.path, mountinfo))
        self.ledger = Ledger(state)
        self.jobs = JobTable(self.store, self.ledger)
        self.intake = Intake(self.store, self.jobs)
        self.claims = Claims(self.store, self.jobs)
        self.requests = Requests(self.store, self.jobs)
        self.history = History(self.store, self.jobs, self.ledger)
        self.workers = WorkerTable(self.store)
        self.forecasts = Forecasts(self.store, self.jobs)
        self.inboxes = InboxView(self.store)
        self.rates = Rates(self.store)
        self.notices = Notices(self.store)
        self.figures = Figures(self.store, self.jobs)

    def close(self) -> None:
        """Close the connection; the object cannot be used afterwards."""
        self.store.close()
