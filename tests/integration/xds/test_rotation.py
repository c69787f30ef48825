"""Certificates are rotated under running streams."""

from __future__ import annotations

import asyncio
import ssl
import time
from pathlib import Path

from cryptography import x509
from prometheus_client import CollectorRegistry

from controlplane.xds import types
from controlplane.xds.snapshot import EMPTY, Snapshot, encode_bytes
from gateway.bootstrap import build_bootstrap
from gateway.bootstrap_tls import SecretFiles
from servicekit.address import Address
from servicekit.contracts import LimitPolicy
from servicekit.settings import XdsClientSettings
from servicekit.tls_files import LOOK_EVERY
from servicekit.xds import XdsSubscription
from tests.harness.certificates import Authority
from tests.harness.envoy import envoy_settings, running_envoy, short_folder
from tests.harness.ports import free_port
from tests.harness.rotation import MountedSecret
from tests.harness.xds import eventually, raw_stream, running_xds
from tests.unit.controlplane.xds.builders import snapshot_of


def serial(folder: Path) -> int:
    """Of the certificate in a folder."""
    return x509.load_pem_x509_certificate((folder / "tls.crt").read_bytes()).serial_number


async def shown_to(address: Address, client: Path) -> int:
    """The serial number that the server shows to a client that has the files of a folder."""
    context = ssl.create_default_context(cafile=str(client / "ca.crt"))
    context.check_hostname = False
    context.set_alpn_protocols(["h2"])
    context.load_cert_chain(client / "tls.crt", client / "tls.key")
    _, writer = await asyncio.open_connection(address.host, address.port, ssl=context)
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return x509.load_der_x509_certificate(shown).serial_number


async def test_new_connections_see_the_new_certificate_and_old_streams_live(tmp_path: Path) -> None:
    """Even when the authority is another one from then on: who has the old one's certificate is let in no more."""
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    old, new = Authority(tmp_path / "old"), Authority(tmp_path / "new")
    first, second = old.member("server", "127.0.0.1"), new.member("server", "127.0.0.1")
    old_client, new_client = old.member("client"), new.member("client")
    secret = MountedSecret(tmp_path / "tls", first)
    async with running_xds(tls_dir=secret.folder) as plane:
        plane.cache.set("edge", snapshot_of(types.CLUSTER, a="1"))
        async with raw_stream(plane.address, delta=True, tls_dir=old_client) as stream:
            await stream.send(types.CLUSTER)
            await stream.accept()
            assert await shown_to(plane.address, old_client) == serial(first)
            secret.swap(second)
            await asyncio.sleep(LOOK_EVERY)
            assert await shown_to(plane.address, new_client) == serial(second)
            async with raw_stream(plane.address, delta=True, tls_dir=new_client) as newer:
                await newer.send(types.CLUSTER)
                await newer.accept()
            plane.cache.set("edge", snapshot_of(types.CLUSTER, a="2"))
            assert [one.name for one in (await stream.accept()).resources] == ["a"]


async def test_a_service_reconnects_with_its_new_certificate(tmp_path: Path) -> None:
    """The control plane ends streams now and then; what a service shows from then on is what its files hold."""
    authority = Authority(tmp_path)
    server = authority.member("server", "127.0.0.1")
    secret = MountedSecret(tmp_path / "tls", authority.member("before", "before.test"))
    seen: list[frozenset[str]] = []

    def place(_node: object, identities: frozenset[str], _type_url: str) -> str:
        seen.append(identities)
        return "services"

    body = LimitPolicy(limits=()).encode()
    policy = Snapshot.of([encode_bytes("default", LimitPolicy.TYPE_URL, body)])
    async with running_xds(tls_dir=server, place=place) as plane:
        plane.cache.set("services", policy)
        applied: list[LimitPolicy] = []
        subscription = XdsSubscription(
            settings=XdsClientSettings(xds_address=plane.address, tls_dir=secret.folder, node_id="limits"),
            contract=LimitPolicy,
            apply=applied.append,
            refusals=(),
            user_agent="test",
            registry=CollectorRegistry(),
        )
        running = asyncio.create_task(subscription.run())
        await eventually(lambda: applied, "the policy")
        secret.swap(authority.member("after", "after.test"))
        began = time.monotonic()
        await eventually(lambda: time.monotonic() - began > LOOK_EVERY, "the next look at the files")
        plane.xds.drain()
        plane.xds._draining = False  # a server that only ends its streams, as it does by their age
        await eventually(lambda: len(seen) > 1, "it is back")
        running.cancel()
    assert seen[0] == {"before.test"}
    assert seen[-1] == {"after.test"}


async def test_an_envoy_reconnects_with_its_new_certificate(tmp_path: Path) -> None:
    """It follows the swapped link while it runs, and its stream is not broken by that."""
    authority = Authority(tmp_path)
    server, after = authority.member("server", "127.0.0.1"), authority.member("after", "after.test")
    seen: list[frozenset[str]] = []

    def place(_node: object, identities: frozenset[str], _type_url: str) -> str:
        seen.append(identities)
        return "edge"

    with short_folder() as folder:
        secret = MountedSecret(folder / "tls", authority.member("before", "before.test"))
        address = Address(host="127.0.0.1", port=free_port())
        settings = envoy_settings(folder, xds_address=address, tls_dir=secret.folder)
        secrets = SecretFiles.beside(folder / "bootstrap.yaml")
        secrets.write(secret.folder)
        bootstrap = bytes(build_bootstrap(settings, secrets=secrets))
        with running_envoy(bootstrap, settings, folder=folder, wait=False) as envoy:
            async with running_xds(address=address, tls_dir=server, place=place) as plane:
                plane.cache.set("edge", EMPTY)
                await eventually(plane.ledger.clients, "Envoy is connected")
                first = plane.ledger.clients()
                secret.swap(after)
                serial_number = f"{serial(after):x}"
                async with asyncio.timeout(10):
                    while serial_number not in (await asyncio.to_thread(envoy.admin, "/certs")).text:  # noqa: ASYNC110  a state of another process
                        await asyncio.sleep(0.05)
                assert plane.ledger.clients() == first
            async with running_xds(address=address, tls_dir=server, place=place) as plane:
                await eventually(plane.ledger.clients, "it is back")
    assert seen[0] == {"before.test"}
    assert seen[-1] == {"after.test"}
