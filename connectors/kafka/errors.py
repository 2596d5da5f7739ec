"""How Kafka, or the broker that we start ourselves, can fail us.

KafkaProblem
├── BrokerDown      nobody answers at the address          retry: it may come back
├── NotAllowed      wrong password, certificate or right   never retry
├── TopicMismatch   a topic exists with other partitions   never retry; we never change it
├── NotInstalled    Java or Maven is missing or too old    never retry
├── BrokerFailed    the embedded broker did not come up    never retry
└── BadAnswer       Kafka answered with another error      retry, if it says so
"""

import kafka.errors as foreign


class KafkaProblem(Exception):  # noqa: N818 - the base is named for the seam, as its leaves are
    """Something is wrong with Kafka. The text says what, `hint` says what to do; each is one line."""

    code = "kafka"
    retriable = False

    def __init__(self, reason: str, *, hint: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        """What is wrong, without secrets."""
        self.hint = hint
        """What to do about it; may be empty."""

    def __str__(self) -> str:
        """Reason and hint in one line."""
        return f"{self.reason}; {self.hint}" if self.hint else self.reason


class BrokerDown(KafkaProblem):
    """Nobody answers at the address."""

    code = "broker_down"
    retriable = True


class NotAllowed(KafkaProblem):
    """Wrong password, an untrusted certificate, or a right that is missing."""

    code = "not_allowed"


class TopicMismatch(KafkaProblem):
    """A topic exists and is not what Weir needs."""

    code = "topic_mismatch"


class NotInstalled(KafkaProblem):
    """A program that the embedded broker needs is missing or too old."""

    code = "not_installed"


class BrokerFailed(KafkaProblem):
    """The embedded broker did not come up, or its data folder is in use."""

    code = "broker_failed"


class BadAnswer(KafkaProblem):
    """Kafka answered with an error that has no leaf of its own."""

    code = "bad_answer"

    def __init__(self, reason: str, *, hint: str = "", retriable: bool = False) -> None:
        super().__init__(reason, hint=hint)
        self.retriable = retriable
        """Whether the same question may be asked again."""


DOWN_HINT = "start one with `weir up`, or set KAFKA_BOOTSTRAP_SERVERS"
CREDENTIALS_HINT = "check KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD and KAFKA_SASL_MECHANISM"
CERTIFICATE_HINT = "check KAFKA_SECURITY_PROTOCOL and the certificate files"
HANG_UP_HINT = (
    "are KAFKA_SECURITY_PROTOCOL, KAFKA_SASL_MECHANISM and the password right? if they are, try again"
)
_AWAY = (
    foreign.KafkaConnectionError,
    foreign.KafkaTimeoutError,
    foreign.NodeNotReadyError,
    foreign.RequestTimedOutError,
)


def translate(error: foreign.KafkaError, address: str) -> KafkaProblem:
    """The leaf for an error of kafka-python; `address` is where it came from."""
    text = (str(error) or type(error).__name__).splitlines()[0][:300]
    if isinstance(error, foreign.SaslAuthenticationFailedError):
        return NotAllowed(f"Kafka at {address} refuses the user name or the password", hint=CREDENTIALS_HINT)
    if isinstance(error, foreign.UnsupportedSaslMechanismError):
        return NotAllowed(f"Kafka at {address} does not offer this SASL mechanism", hint=CREDENTIALS_HINT)
    if isinstance(error, foreign.AuthorizationError):
        return NotAllowed(f"Kafka at {address} refuses: {text}", hint="ask for the right on topic and group")
    if isinstance(error, foreign.KafkaProtocolError) or "Handshake failed" in text:
        return NotAllowed(f"Kafka at {address} speaks another protocol: {text}", hint=CERTIFICATE_HINT)
    if isinstance(error, _AWAY):
        hung_up = "disconnected" in text
        what = "hung up" if hung_up else f"does not answer: {text}"
        return BrokerDown(f"Kafka at {address} {what}", hint=HANG_UP_HINT if hung_up else DOWN_HINT)
    return BadAnswer(f"Kafka at {address} answered: {text}", retriable=bool(error.retriable))
