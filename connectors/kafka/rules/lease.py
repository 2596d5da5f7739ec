"""The lease: how long this worker may believe that the partitions are its own.

It counts from the *send* time of the last heartbeat that the group accepted, plus 0.8 of the session.
A join renews nothing but the first one, which opens it. Out of lease: hold (feed, call and write nothing,
keep results). A heartbeat is accepted again: go on. Thrown out of the group: the process exits.
"""

from dataclasses import dataclass

SHARE = 0.8
"""Part of the session that the lease lasts; the rest is for clock rates and bytes on their way."""


@dataclass(slots=True)
class Lease:
    """State of the lease; every time is in seconds of a clock that goes on while the machine sleeps."""

    session_s: float
    """The group's session timeout."""
    until_s: float = 0.0
    """When the lease runs out; 0 before the first join."""
    sent_s: float = 0.0
    """When the heartbeat on its way was sent."""

    def joined(self, now_s: float) -> None:
        """The group took this worker in; only the first join opens the lease."""
        if self.until_s == 0.0:
            self.until_s = now_s + SHARE * self.session_s

    def sent(self, now_s: float) -> None:
        """A heartbeat leaves now."""
        self.sent_s = now_s

    def accepted(self) -> None:
        """The heartbeat on its way was accepted."""
        if self.sent_s:
            self.until_s = max(self.until_s, self.sent_s + SHARE * self.session_s)

    @property
    def opened(self) -> bool:
        """Whether this worker has ever been in the group."""
        return self.until_s > 0.0

    def valid(self, now_s: float) -> bool:
        """Whether this worker may feed, call and write."""
        return now_s < self.until_s

    def overdue_s(self, now_s: float) -> float:
        """For how long the lease has been out; 0 while it holds or was never opened."""
        return max(0.0, now_s - self.until_s) if self.until_s else 0.0
