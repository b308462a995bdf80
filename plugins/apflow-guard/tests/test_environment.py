from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from .conftest import PUBLIC, body_of, opened, reply

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")

OWN_NETWORK = """
import asyncio, subprocess
from apflow_guard import Guard, Refused

async def talk(reader, writer):
    head = await reader.readuntil(b"\\r\\n\\r\\n")
    host = next(line for line in head.split(b"\\r\\n") if line.lower().startswith(b"host"))
    writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(host) + host)
    await writer.drain()
    writer.close()

async def resolve(host, port):
    return {"public.example": ["93.184.215.14"], "inner.example": ["10.0.0.1"]}[host]

async def main():
    for command in ("link set lo up", "addr add 93.184.215.14/32 dev lo", "addr add 10.0.0.1/32 dev lo"):
        subprocess.run(["ip", *command.split()], check=True)
    guard = Guard(resolve=resolve)
    async with await asyncio.start_server(talk, "0.0.0.0", 80), guard.client() as client:
        print((await client.get("http://public.example/")).text)
        print((await client.get("http://93.184.215.14/")).text)
        for url in ("http://inner.example/", "http://10.0.0.1/", "http://127.0.0.1/"):
            try:
                print((await client.get(url)).text)
            except Refused:
                print("refused")

asyncio.run(main())
"""


async def test_no_proxy_of_the_environment_is_asked(serve, monkeypatch):
    proxy, server = await serve(reply(b"proxy")), await serve(reply(b"hello"))
    for name in PROXIES:
        monkeypatch.setenv(name, proxy.url)
    monkeypatch.setenv("NO_PROXY", "")
    assert await body_of(opened(server), server.url) == b"hello"
    assert proxy.connections == 0


async def test_no_password_file_is_read(serve, monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login ada password se-cret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    server = await serve(reply(b"hello"))
    await body_of(opened(server), server.url)
    assert "authorization" not in server.heads[0].headers


def has_own_networks():
    if sys.platform != "linux" or not (shutil.which("unshare") and shutil.which("ip")):
        return False
    tried = subprocess.run(["unshare", "--net", "ip", "link", "set", "lo", "up"], capture_output=True, check=False)
    return tried.returncode == 0


@pytest.mark.skipif(not has_own_networks(), reason="needs Linux, and the right to make a network namespace")
def test_a_public_address_is_reached_for_real_by_its_name():
    program = ["unshare", "--net", sys.executable, "-c", OWN_NETWORK]
    done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=60, env=dict(os.environ))
    assert done.stdout.splitlines() == ["Host: public.example", f"Host: {PUBLIC}", "refused", "refused", "refused"], done.stderr
