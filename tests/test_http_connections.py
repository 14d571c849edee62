"""What becomes of connections below the openai worker: TLS, proxies, reuse, compression; by either client."""

from __future__ import annotations

import asyncio
import datetime
import gzip
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any, get_args

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from maker.errors import BlockedError
from maker.model import Request
from maker.nouns import Message, Prompt, Sample, Seat, Step
from maker.workers.openai_chat import OpenAIChat
from maker.workers.openai_chat.clients import Through
from tests import faultd
from tests.faultd import Faultd

CLIENTS = pytest.mark.parametrize("client", get_args(Through))


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")


def ask(url: str, client: Through, times: int = 1, pause: float = 0.0, **options: Any) -> list[str]:
    """Transport faults by slug; every draw was filled."""
    faults: list[str] = []
    prompt = Prompt((Message("user", "hello"),))

    async def asked() -> list[Sample]:
        model = OpenAIChat("tiny", base_url=url, client=client, **options)
        samples = []
        try:
            for number in range(times):
                seat = Seat(number, "tiny", 0.0, 1)
                request = Request(Step("s", 0, None), prompt, (seat,), faults.append)
                samples += [sample async for sample in model.draw(request)]
                await asyncio.sleep(pause)
        finally:
            await model.aclose()
        return samples

    assert len(asyncio.run(asked())) == times
    return faults


def certificate(folder: Path, host: str) -> tuple[ssl.SSLContext, Path]:
    """A server's context with a certificate that only itself vouches for, and its file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))]), critical=False)
    file, key_file = folder / "cert.pem", folder / "key.pem"
    file.write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key_file)
    return context, file


@contextmanager
def tunnel() -> Iterator[tuple[str, list[bytes]]]:
    """A proxy that serves CONNECT: its address, and the heads of the requests that it saw."""
    listener, heads = socket.create_server(("127.0.0.1", 0)), []

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def serve(client: socket.socket) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n") and (more := client.recv(1)):
            head += more
        heads.append(head)
        host, _, port = head.split()[1].decode().rpartition(":")
        server = socket.create_connection((host, int(port)))
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        back = threading.Thread(target=pump, args=(server, client))
        back.start()
        pump(client, server)
        back.join()
        client.close()
        server.close()

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],)).start()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", heads
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@CLIENTS
def test_a_certificate_counts_where_the_environment_vouches_for_it_and_only_for_its_host(
    client: Through, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, file = certificate(tmp_path, "127.0.0.1")
    with Faultd(tls=context) as server:
        for trust_env in (False, True):
            with pytest.raises(BlockedError, match=r"(?i)certificate"):
                ask(server.url, client, give_up_after=1.0, trust_env=trust_env)
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        assert ask(server.url, client, times=2, trust_env=True) == []
        with pytest.raises(BlockedError, match=r"(?i)certificate"):
            ask(server.url.replace("127.0.0.1", "localhost"), client, give_up_after=1.0, trust_env=True)
        with pytest.raises(BlockedError, match=r"(?i)certificate"):
            ask(server.url, client, give_up_after=1.0)
        assert len(server.calls) == 2


@CLIENTS
def test_a_proxy_tunnels_tls_and_never_sees_the_key(
    client: Through, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, file = certificate(tmp_path, "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with Faultd(tls=context) as server, tunnel() as (proxy, heads):
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        assert ask(server.url, client, trust_env=True) == []
        assert server.calls[0].headers["authorization"] == "Bearer sk-canary"
    assert [head.split()[0] for head in heads] == [b"CONNECT"] and b"canary" not in heads[0]


@CLIENTS
def test_a_proxy_is_asked_for_the_whole_address(client: Through, monkeypatch: pytest.MonkeyPatch) -> None:
    with Faultd() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.removesuffix("/v1"))
        assert ask("http://nowhere.invalid/v1", client, trust_env=True, allow_http=True) == []
        assert [call.path for call in proxy.calls] == ["http://nowhere.invalid/v1/chat/completions"]


@CLIENTS
def test_a_proxy_that_is_none_for_http_is_refused_without_its_password(
    client: Through, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://me:secret@127.0.0.1:1")
    with pytest.raises(BlockedError, match="scheme 'socks5'") as caught:
        ask("https://nowhere.invalid/v1", client, trust_env=True)
    assert "secret" not in str(caught.value)


@CLIENTS
def test_a_server_that_hangs_up_between_two_requests_costs_a_connection_and_no_fault(client: Through) -> None:
    with Faultd(hangs_up=True) as server:
        assert ask(server.url, client, times=3, pause=0.05) == []
        assert server.connections == 3


@CLIENTS
def test_one_connection_serves_one_request_after_another(client: Through) -> None:
    with Faultd() as server:
        assert ask(server.url, client, times=5) == []
        assert server.connections == 1


@CLIENTS
@pytest.mark.parametrize("length", [10, 200_000])
def test_a_compressed_answer_is_read(client: Through, length: int) -> None:
    choice = {"message": {"content": "x" * length}, "finish_reason": "stop"}
    body = gzip.compress(json.dumps({"choices": [choice]}).encode())
    with Faultd(script=[faultd.raw(body, content_encoding="gzip")]) as server:
        assert ask(server.url, client) == []


def test_both_clients_send_the_same_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-1")
    sent = []
    for client in get_args(Through):
        with Faultd() as server:
            ask(server.url + "/", client)
            [call] = server.calls
        own = {name: value for name, value in call.headers.items() if name not in ("host", "connection")}
        sent.append((call.path, call.body, own))
    for each in sent:
        assert (each[2]["openai-organization"], each[2]["openai-project"]) == ("org-1", "proj-1")
        for stopwatch in ("x-stainless-retry-count", "x-stainless-read-timeout"):
            each[2].pop(stopwatch, None)
    assert sent[0] == sent[1]
