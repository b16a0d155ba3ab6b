#!/usr/bin/env python3
"""Plays every test case between every two peers on loopback, to know that the peers themselves are right.

    check.py --built TARGET/debug --python VENV/bin/python [--more CLIENT SERVER NAME] [--case NAME]

`--built` has the programs that cargo built; those not there are left out. `--more` adds another stack with the same command line. Prints a table; exit status 0 if no cell failed.
"""

import argparse
import asyncio
import filecmp
import os
import random
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CASES = {
    "handshake": {"small": 1_000},
    "transfer": {"large": 5_000_000, "medium": 300_000, "small": 10},
    "multiplexing": {f"f{i}": 32 for i in range(300)},
    "retry": {"small": 1_000},
    "chacha20": {"medium": 300_000},
    "keyupdate": {"large": 3_000_000},
    "ecn": {"medium": 300_000},
    "versionnegotiation": {"small": 1_000},
    "datagram": {"small": 1_000},
    "handshakeloss": {f"f{i}": 1_000 for i in range(5)},
    "resumption": {"small": 1_000, "medium": 300_000},
    "zerortt": {"small": 1_000} | {f"{i:0>250}": 32 for i in range(40)},
    "v2": {"small": 1_000},
    "no-such-case": {"small": 1_000},
}
UNSUPPORTED = 127
LIMIT = 40


def certificate(folder: Path):
    """A self-signed P-256 certificate for localhost."""
    subprocess.run(
        shlex.split(
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 "
            f"-subj /CN=localhost -addext subjectAltName=DNS:localhost "
            f"-keyout {folder}/key.pem -out {folder}/cert.pem"
        ),
        check=True,
        capture_output=True,
    )


class Relay(asyncio.DatagramProtocol):
    """Stands between client and server, loses some datagrams and notes what long headers it saw."""

    def __init__(self, server: tuple, loss: float):
        self.server, self.loss = server, loss
        self.upstream: dict[tuple, Upstream] = {}
        self.waiting: dict[tuple, list[bytes]] = {}
        self.seen: set[str] = set()
        self.transport = None

    @classmethod
    async def start(cls, server: str, loss: float) -> "Relay":
        """A relay on another port of the server's host."""
        host, _, port = server.rpartition(":")
        host, loop = host.strip("[]"), asyncio.get_running_loop()
        _, relay = await loop.create_datagram_endpoint(lambda: cls((host, int(port)), loss), local_addr=(host, 0))
        return relay

    def authority(self) -> str:
        """Host and port as in a URL."""
        host, port, *_ = self.transport.get_extra_info("sockname")
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        if data[0] & 0xB0 == 0x90 and data[1:5] == bytes((0, 0, 0, 1)):
            self.seen.add("zerortt")
        if random.random() < self.loss:
            return
        if addr in self.upstream:
            self.upstream[addr].transport.sendto(data)
        elif addr in self.waiting:
            self.waiting[addr].append(data)
        else:
            self.waiting[addr] = [data]
            asyncio.ensure_future(self.open(addr))

    async def open(self, addr):
        """A socket towards the server for a new client address."""
        loop = asyncio.get_running_loop()
        _, upstream = await loop.create_datagram_endpoint(lambda: Upstream(self, addr), remote_addr=self.server)
        self.upstream[addr] = upstream
        for data in self.waiting.pop(addr):
            upstream.transport.sendto(data)

    def close(self):
        for upstream in self.upstream.values():
            upstream.transport.close()
        self.transport.close()


class Upstream(asyncio.DatagramProtocol):
    """The server's side of a relay, for one client."""

    def __init__(self, relay: Relay, client: tuple):
        self.relay, self.client, self.transport = relay, client, None

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        # The invariants (RFC 8999) show Version Negotiation, version 1's first byte shows Retry.
        if data[0] & 0x80 and data[1:5] == bytes(4):
            self.relay.seen.add("versionnegotiation")
        elif data[0] & 0xF0 == 0xF0 and data[1:5] == bytes((0, 0, 0, 1)):
            self.relay.seen.add("retry")
        if random.random() >= self.relay.loss:
            self.relay.transport.sendto(data, self.client)


async def play(case: str, client: list[str], server: list[str], folder: Path, args) -> str:
    """One cell of the table: `ok`, `-` if either side cannot play the case, or what went wrong."""
    www, downloads, relay = folder / "www", folder / "downloads", None
    downloads.mkdir()
    keylog = {**os.environ, "SSLKEYLOGFILE": str(folder / "keys.log")}
    with open(folder / "server.log", "wb") as log:
        serving = await asyncio.create_subprocess_exec(
            *server,
            *("--listen", f"{args.host}:0", "--cert", folder / "cert.pem", "--key", folder / "key.pem"),
            *("--www", www, "--testcase", case),
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env=keylog,
        )
    try:
        line = (await asyncio.wait_for(serving.stdout.readline(), LIMIT)).decode().split()
        if not line:
            return "-" if await serving.wait() == UNSUPPORTED else "server failed"
        relay = await Relay.start(line[1], args.loss / 100)
        # Datagrams lose their marks in a relay.
        authority = line[1] if case == "ecn" else relay.authority()
        urls = [f"https://{authority}/{name}" for name in CASES[case]]
        with open(folder / "client.log", "wb") as log:
            fetching = await asyncio.create_subprocess_exec(
                *client, "--testcase", case, "--downloads", downloads, *urls, stderr=log, env=keylog
            )
        status = await asyncio.wait_for(fetching.wait(), LIMIT)
    except asyncio.TimeoutError:
        return "timeout"
    finally:
        if relay:
            # Longer than a lone CONNECTION_CLOSE takes.
            await asyncio.sleep(0.1)
            relay.close()
        if serving.returncode is None:
            serving.kill()
            await serving.wait()
    if status == UNSUPPORTED:
        return "-"
    if status != 0:
        return f"exit {status}"
    return verify(case, folder, relay.seen)


def verify(case: str, folder: Path, seen: set[str]) -> str:
    """Whether the files are the same, and whether the traces left fit the case."""
    if case != "datagram":
        _, wrong, missing = filecmp.cmpfiles(folder / "www", folder / "downloads", CASES[case], shallow=False)
        if wrong or missing:
            return f"{len(wrong)} wrong, {len(missing)} missing"
    if case == "zerortt" and "zerortt" not in seen:
        return "no 0-RTT packets"
    if seen - {"zerortt"} != {case} & {"retry", "versionnegotiation"}:
        return f"the server sent {seen or 'nothing special'}"
    if case == "keyupdate" and "key phases [0]" in (folder / "server.log").read_text():
        return "no key update"
    if "TRAFFIC_SECRET" not in (folder / "keys.log").read_text():
        return "no key log"
    return "ok"


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--built", required=True, type=Path)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--more", nargs=3, action="append", default=[])
    parser.add_argument("--case", choices=CASES)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--loss", type=float, default=0, help="percent of datagrams lost, each way")
    args = parser.parse_args()

    built = {name: args.built / f"{name}-peer" for name in ("quinn", "noq", "s2n", "quiche")}
    peers = {name: ([path, "client"], [path, "server"]) for name, path in built.items() if path.exists()}
    peers |= {
        "aioquic": ([args.python, HERE / "aioquic/client.py"], [args.python, HERE / "aioquic/server.py"]),
    }
    peers |= {name: (shlex.split(client), shlex.split(server)) for client, server, name in args.more}
    failed = 0
    for case in [args.case] if args.case else CASES:
        for client in peers:
            for server in peers:
                with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
                    folder = Path(name)
                    (folder / "www").mkdir()
                    certificate(folder)
                    for file, size in CASES[case].items():
                        (folder / "www" / file).write_bytes(random.Random(file).randbytes(size))
                    cell = await play(case, peers[client][0], peers[server][1], folder, args)
                    print(f"{case:20} {client:>8} -> {server:8} {cell}", flush=True)
                    if cell not in ("ok", "-"):
                        failed += 1
                        for log in ("client.log", "server.log"):
                            if (folder / log).exists():
                                print((folder / log).read_text()[-2000:])
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
