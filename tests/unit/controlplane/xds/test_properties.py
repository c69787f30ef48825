"""Both state machines against simple clients that subscribe, refuse, stray, cross and reconnect at random."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from controlplane.xds import types
from controlplane.xds.messages import WILDCARD
from controlplane.xds.snapshot import Resource, Snapshot
from tests.unit.controlplane.xds.builders import OTHER, resource
from tests.unit.controlplane.xds.model_clients import DeltaClient, ModelClient, SotwClient

NAMES = ("a", "b", "c")
name_or_wildcard = st.sampled_from((*NAMES, WILDCARD))
contents = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(("1", "2", "3", "bad 1", "bad 2")))
PROFILE = settings(max_examples=120, stateful_step_count=30)


def is_bad(one: Resource) -> bool:
    """What the clients refuse."""
    return b"bad" in one.body


class Conversation(RuleBasedStateMachine):
    """One client, one type, any order of events."""

    client: ModelClient
    type_url = OTHER

    def __init__(self) -> None:
        super().__init__()
        self.snapshot: Snapshot | None = None

    @rule(wanted=contents)
    def publish(self, wanted: dict[str, str]) -> None:
        """There is a new snapshot."""
        self.snapshot = Snapshot.of(resource(self.type_url, name, text) for name, text in wanted.items())
        self.client.publish(self.snapshot)

    @rule(name=name_or_wildcard)
    def subscribe(self, name: str) -> None:
        """The client asks for a name, perhaps again."""
        self.client.subscribe(name)

    @precondition(lambda self: not self.client.silent)
    @rule(name=name_or_wildcard)
    def unsubscribe(self, name: str) -> None:
        """The client loses interest in a name that it may never have asked for."""
        self.client.unsubscribe(name)

    @rule()
    def request_arrives(self) -> None:
        """The oldest request reaches the server."""
        self.client.deliver_request()

    @rule()
    def server_sends(self) -> None:
        """The server sends its next response."""
        self.client.emit()

    @rule()
    def response_arrives(self) -> None:
        """The oldest response reaches the client."""
        self.client.deliver_response()

    @precondition(lambda self: not self.client.silent)
    @rule(error=st.none() | st.just("what?"))
    def stray(self, error: str | None) -> None:
        """The client answers something that was never sent."""
        self.client.stray(error)

    @rule()
    def reconnect(self) -> None:
        """The stream breaks; everything on the way is lost."""
        self.client.reconnect(self.snapshot)

    @rule()
    def quiet(self) -> None:
        """After quiet, the client has exactly the newest version of what it asked for."""
        self.client.rest()
        self.check_content()
        sent = self.client.responses
        self.client.publish(self.snapshot)
        self.client.rest()
        assert self.client.responses == sent, "sent again although nothing changed"

    @invariant()
    def one_outstanding(self) -> None:
        """Never more than one response without an answer."""
        assert len(self.client.to_client) <= 1

    def desired(self) -> dict[str, str]:
        """What the client should hold."""
        assert self.snapshot is not None
        resources = self.snapshot.of_type(self.type_url)
        return {name: r.version for name, r in resources.items() if self.client.covers(name)}

    def check_content(self) -> None:
        """The client holds what it should, except what it refused."""
        if self.snapshot is None:
            return
        desired = self.desired()
        for name in NAMES:
            version = desired.get(name, "")
            if self.client.covers(name) and (name, version) not in self.client.refused:
                assert self.client.held.get(name, "") == version


class DeltaConversation(Conversation):
    """The incremental variant."""

    @initialize(legacy=st.booleans())
    def connect(self, legacy: bool) -> None:
        """A fresh client, which may ask for everything without naming it."""
        self.client = client = DeltaClient(self.type_url, refuses=is_bad)
        if legacy:
            client.start_legacy()


class PartConversation(Conversation):
    """State of the world, of a type that is told in parts."""

    @initialize(legacy=st.booleans())
    def connect(self, legacy: bool) -> None:
        """A fresh client, which may ask for everything without naming it."""
        self.client = client = SotwClient(self.type_url, whole=False, refuses=is_bad)
        if legacy:
            client.start_legacy()

    def check_content(self) -> None:
        """As ever, except that nothing can be said of what does not exist."""
        if self.snapshot is None:
            return
        for name, version in self.desired().items():
            if (name, version) not in self.client.refused:
                assert self.client.held.get(name) == version


class WholeConversation(Conversation):
    """State of the world, of a type that is told whole."""

    type_url = types.LISTENER

    @initialize(legacy=st.booleans())
    def connect(self, legacy: bool) -> None:
        """A fresh client, which may ask for everything without naming it."""
        self.client = client = SotwClient(self.type_url, whole=True, refuses=is_bad)
        if legacy:
            client.start_legacy()

    def check_content(self) -> None:
        """All or nothing: one bad resource refuses the whole."""
        if (
            self.snapshot is None
            or self.client.silent
            or any(map(is_bad, self.snapshot.of_type(self.type_url).values()))
        ):
            return
        if self.client.names or self.client.wildcard:
            assert self.client.held == self.desired()


TestDelta = DeltaConversation.TestCase
TestDelta.settings = PROFILE
TestPart = PartConversation.TestCase
TestPart.settings = PROFILE
TestWhole = WholeConversation.TestCase
TestWhole.settings = PROFILE
