"""A collection in parts: what is kept, what is dropped, what a restart begins with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse

from servicekit.contracts import ApiKeys, ManagedKey
from servicekit.settings import XdsClientSettings
from servicekit.xds import XdsCollection

KEY = ManagedKey(id="one", provider="p", digest="0" * 64, owner="o")
PART = ApiKeys(keys=(KEY,))


class Holder:
    """A process that holds the parts that it was told of."""

    def __init__(self, folder: Path | None = None) -> None:
        self.parts: dict[str, ApiKeys] = {}
        self.is_complete: bool | None = None
        self.collection: XdsCollection[ApiKeys] = XdsCollection(
            settings=XdsClientSettings(state_dir=folder, node_id="n", node_group="g"),
            contract=ApiKeys,
            listed=lambda index: index.parts,
            apply=self._apply,
            user_agent="test",
            connected=lambda _is: None,
        )

    def _apply(self, parts: Mapping[str, ApiKeys], dropped: frozenset[str], is_complete: bool) -> None:
        self.parts = {name: part for name, part in {**self.parts, **parts}.items() if name not in dropped}
        self.is_complete = is_complete

    def hear(self, *, removed: tuple[str, ...] = (), broken: bool = False, **came: ApiKeys) -> DeltaDiscoveryRequest:
        """One response of the control plane."""
        message = DeltaDiscoveryResponse(type_url=ApiKeys.TYPE_URL, nonce="n1", removed_resources=removed)
        for name, part in came.items():
            resource = message.resources.add(name=name, version=f"v-{name}")
            resource.resource.value = b"{" if broken else part.encode()
        return self.collection.answer(message)


def listing(*names: str) -> ApiKeys:
    """An index."""
    return ApiKeys(parts=names)


def test_it_asks_for_everything() -> None:
    """And says what it has, so that a reconnect costs nothing."""
    holder = Holder()
    holder.hear(index=listing("aa"), aa=PART)
    request = holder.collection.first_request()
    assert list(request.resource_names_subscribe) == ["*"]
    assert dict(request.initial_resource_versions) == {"index": "v-index", "aa": "v-aa"}
    assert (request.node.id, request.node.cluster, request.node.user_agent_name) == ("n", "g", "test")


def test_it_is_complete_when_all_is_there_that_the_index_lists() -> None:
    """In whatever order it comes."""
    holder = Holder()
    holder.hear(aa=PART)
    assert (holder.parts, holder.is_complete) == ({"aa": PART}, False)
    holder.hear(index=listing("aa", "bb"))
    assert holder.is_complete is False
    holder.hear(bb=PART)
    assert (holder.parts, holder.is_complete) == ({"aa": PART, "bb": PART}, True)


def test_only_the_index_takes_away() -> None:
    """A control plane that has lost everything leaves what is there."""
    holder = Holder()
    holder.hear(index=listing("aa", "bb"), aa=PART, bb=PART)
    holder.hear(removed=("aa", "bb", "index"))
    assert (set(holder.parts), holder.is_complete) == ({"aa", "bb"}, True)
    holder.hear(removed=("aa",), index=listing("bb"))
    assert (set(holder.parts), holder.is_complete) == ({"bb"}, True)
    assert "aa" not in holder.collection.first_request().initial_resource_versions


def test_what_cannot_be_read_is_refused_whole() -> None:
    """The NACK says why, and what was there stays."""
    holder = Holder()
    holder.hear(index=listing("aa"), aa=PART)
    request = holder.hear(broken=True, aa=PART)
    assert request.error_detail.message.startswith("not a valid ApiKeys")
    assert (holder.parts, holder.is_complete) == ({"aa": PART}, True)


def test_a_restart_begins_with_what_was_there(tmp_path: Path) -> None:
    """And not with what was dropped."""
    before = Holder(tmp_path)
    before.hear(index=listing("aa", "bb"), aa=PART, bb=PART)
    before.hear(index=listing("bb"))
    after = Holder(tmp_path)
    after.collection.begin()
    assert (after.parts, after.is_complete) == ({"bb": PART}, True)
    assert dict(after.collection.first_request().initial_resource_versions) == {"index": "v-index", "bb": "v-bb"}
    assert {path.name for path in tmp_path.iterdir()} == {"ApiKeys-index.json", "ApiKeys-bb.json"}


def test_a_part_that_is_lost_makes_it_incomplete(tmp_path: Path) -> None:
    """The rest is known; a damaged one is as good as none."""
    before = Holder(tmp_path)
    before.hear(index=listing("aa", "bb"), aa=PART, bb=PART)
    (tmp_path / "ApiKeys-aa.json").write_bytes(b"\xff")
    after = Holder(tmp_path)
    after.collection.begin()
    assert (after.parts, after.is_complete) == ({"bb": PART}, False)
