#!/usr/bin/env python3
"""aioquic as an interop server: answers `GET /name` with the file, and datagrams with themselves.

Prints `listening ADDRESS` once it does, and serves until killed. Exit status 127: unsupported test case.
"""

import argparse
import asyncio
import sys
from pathlib import Path, PurePosixPath

from aioquic.asyncio import QuicConnectionProtocol, serve
from aioquic.quic.events import (
    ConnectionTerminated,
    DatagramFrameReceived,
    StreamDataReceived,
)
from aioquic.tls import Epoch

from common import configuration

LONGEST_REQUEST = 4096


class Http09Server(QuicConnectionProtocol):
    """One connection."""

    www: Path

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._requests: dict[int, bytes] = {}
        self._phases: set[int] = set()

    def datagram_received(self, data, addr):
        super().datagram_received(data, addr)
        # Lets a driver see that a key update happened; there is no public accessor.
        self._phases.add(self._quic._cryptos[Epoch.ONE_RTT].recv.key_phase)

    def quic_event_received(self, event):
        if isinstance(event, StreamDataReceived):
            request = self._requests.pop(event.stream_id, b"") + event.data
            if event.end_stream:
                self.respond(event.stream_id, request)
            elif len(request) <= LONGEST_REQUEST:
                self._requests[event.stream_id] = request
            else:
                self._quic.reset_stream(event.stream_id, 1)
        elif isinstance(event, DatagramFrameReceived):
            self._quic.send_datagram_frame(event.data)
        elif isinstance(event, ConnectionTerminated):
            print(f"closed, key phases {sorted(self._phases)}", file=sys.stderr, flush=True)

    def respond(self, stream: int, request: bytes):
        """Sends the file, or resets the stream: HTTP/0.9 has no status."""
        try:
            self._quic.send_stream_data(stream, self.file(request), end_stream=True)
        except (OSError, ValueError) as error:
            print(f"{request!r}: {error}", file=sys.stderr, flush=True)
            self._quic.reset_stream(stream, 1)

    def file(self, request: bytes) -> bytes:
        """The bytes asked for, if they lie below `www`."""
        verb, _, target = request.decode().strip().partition(" ")
        name = PurePosixPath(target.removeprefix("/"))
        if verb != "GET" or name.is_absolute() or ".." in name.parts or not name.parts:
            raise ValueError("not a request for a file")
        return (self.www / name).read_bytes()


async def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listen", required=True, help="ADDRESS:PORT")
    parser.add_argument("--cert", required=True, help="certificate chain, PEM")
    parser.add_argument("--key", required=True, help="private key, PEM")
    parser.add_argument("--www", required=True, type=Path, help="folder of the files")
    parser.add_argument("--preferred", help="connectionmigration, which cannot be played")
    parser.add_argument("--testcase", required=True)
    args = parser.parse_args()

    settings = configuration(args.testcase, is_client=False)
    settings.load_cert_chain(args.cert, args.key)
    Http09Server.www = args.www
    tickets = {}
    host, _, port = args.listen.rpartition(":")
    server = await serve(
        host.strip("[]"),
        int(port),
        configuration=settings,
        create_protocol=Http09Server,
        retry=args.testcase == "retry",
        # A ticket serves once.
        session_ticket_fetcher=lambda label: tickets.pop(label, None),
        session_ticket_handler=lambda ticket: tickets.update({ticket.ticket: ticket}),
    )
    host, port, *_ = server._transport.get_extra_info("sockname")
    print(f"listening {f'[{host}]' if ':' in host else host}:{port}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
