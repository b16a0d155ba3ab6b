#!/usr/bin/env python3
"""aioquic as an interop client: fetches every URL over one connection, or exchanges datagrams.

Exit status: 0 all went well, 1 it did not, 127 unsupported test case.
"""

import argparse
import asyncio
import socket
import ssl
import sys
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from aioquic.asyncio import QuicConnectionProtocol, connect
from aioquic.quic.events import (
    ConnectionTerminated,
    DatagramFrameReceived,
    StreamDataReceived,
    StreamReset,
)

from common import RESERVED_VERSION, VERSION_1, configuration

DATAGRAM = 500
DATAGRAMS = 20
ENOUGH = 15
# When the case `migration` moves, in seconds from the handshake on.
MOVE = 0.2


class Http09Client(QuicConnectionProtocol):
    """One connection."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._fetches: dict[int, tuple[bytearray, asyncio.Future]] = {}
        self.echoes: set[int] = set()
        self.wrong_echoes = 0

    async def fetch(self, path: str) -> bytes:
        """The file the server has under `path`."""
        stream = self._quic.get_next_available_stream_id()
        done = self._loop.create_future()
        self._fetches[stream] = (bytearray(), done)
        self._quic.send_stream_data(stream, f"GET {path}\r\n".encode(), end_stream=True)
        self.transmit()
        return await done

    async def exchange_datagrams(self):
        """Sends numbered datagrams again and again until enough have come back unchanged."""
        for _ in range(100):
            for i in set(range(DATAGRAMS)) - self.echoes:
                self._quic.send_datagram_frame(numbered(i))
            self.transmit()
            await asyncio.sleep(0.1)
            if self.wrong_echoes:
                raise ConnectionError("an echo of something else")
            if len(self.echoes) >= ENOUGH:
                return
        raise ConnectionError(f"{len(self.echoes)} of {DATAGRAMS} datagrams came back")

    async def move(self):
        """Goes on from another port, under another connection id."""
        await asyncio.sleep(MOVE)
        fresh = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        fresh.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        fresh.bind(("::", 0, 0, 0))
        old = self._transport
        await self._loop.create_datagram_endpoint(lambda: self, sock=fresh)
        self.change_connection_id()
        old.close()

    def quic_event_received(self, event):
        if isinstance(event, StreamDataReceived) and event.stream_id in self._fetches:
            contents, done = self._fetches[event.stream_id]
            contents += event.data
            if event.end_stream and not done.done():
                done.set_result(bytes(contents))
        elif isinstance(event, StreamReset) and event.stream_id in self._fetches:
            _, done = self._fetches[event.stream_id]
            if not done.done():
                done.set_exception(ConnectionError("stream reset"))
        elif isinstance(event, DatagramFrameReceived):
            i = event.data[0] if event.data else DATAGRAMS
            if i < DATAGRAMS and event.data == numbered(i):
                self.echoes.add(i)
            else:
                self.wrong_echoes += 1
        elif isinstance(event, ConnectionTerminated):
            for _, done in self._fetches.values():
                if not done.done():
                    done.set_exception(ConnectionError(event.reason_phrase or "closed"))


def numbered(i: int) -> bytes:
    """Contents of datagram `i`."""
    return bytes((i + at) & 0xFF for at in range(DATAGRAM))


async def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--testcase", required=True)
    parser.add_argument("--downloads", required=True, type=Path, help="folder the files are written to")
    parser.add_argument("urls", nargs="+", metavar="URL", help="https://HOST:PORT/NAME, all of one server")
    args = parser.parse_args()

    settings = configuration(args.testcase, is_client=True)
    settings.verify_mode = ssl.CERT_NONE
    if args.testcase == "versionnegotiation":
        settings.supported_versions = [RESERVED_VERSION, VERSION_1]
        settings.original_version = RESERVED_VERSION
    urls = [urlsplit(url) for url in args.urls]
    server = urls[0]
    if any(url.netloc != server.netloc or not PurePosixPath(url.path).name for url in urls):
        raise ValueError("URLs must name files of one server")

    rounds = [urls]
    if args.testcase in ("handshakeloss", "handshakecorruption"):
        rounds = [[url] for url in urls]
    elif args.testcase in ("resumption", "zerortt"):
        rounds = [urls[:1], urls[1:]]
    for number, some in enumerate(rounds):
        await play(args, settings, some, early=args.testcase == "zerortt" and number > 0)


async def play(args, settings, urls, early: bool):
    """One connection. A session ticket that came with it is used by the next."""

    def keep(ticket):
        settings.session_ticket = ticket

    server = urls[0]
    async with connect(
        server.hostname,
        server.port or 443,
        configuration=settings,
        create_protocol=Http09Client,
        session_ticket_handler=keep,
        wait_connected=not early,
    ) as client:
        if args.testcase == "versionnegotiation" and client._quic._version == RESERVED_VERSION:
            raise ConnectionError("the server did not negotiate the version")
        if args.testcase == "datagram":
            await client.exchange_datagrams()
            return
        if args.testcase == "keyupdate":
            client.request_key_update()
        fetches = asyncio.gather(*(client.fetch(url.path) for url in urls))
        if args.testcase == "migration":
            await client.move()
        contents = await fetches
        for url, data in zip(urls, contents):
            (args.downloads / PurePosixPath(url.path).name).write_bytes(data)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except (ConnectionError, OSError, ValueError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(1)
