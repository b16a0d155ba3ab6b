#!/usr/bin/env python3
"""ngtcp2's gtlsclient (Debian's package) with the command line of the other peers. It speaks HTTP/3 and nothing else.

Exit status: 0 all went well, 1 it did not, 127 unsupported test case.
"""

import argparse
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from common import CIPHERS, LACKING, Unsupported, play, start

CASES = {
    "chacha20": [f"--ciphers={CIPHERS}:+CHACHA20-POLY1305"],
    # Both count from the moment when the handshake is confirmed.
    "keyupdate": ["--key-update=1ms"],
    "migration": ["--change-local-addr=200ms"],
    # A reserved version first, then what the server says it speaks.
    "versionnegotiation": ["--version=0x1a2a3a4a", "--preferred-versions=v1", "--other-versions=v1"],
}


def fetch(server, downloads: Path, urls: list[str], options: list[str]):
    """One connection."""
    command = ["gtlsclient", "--quiet", "--exit-on-all-streams-close", "--handshake-timeout=30s", *options]
    command += [f"--download={downloads}", server.hostname, str(server.port or 443), *urls]
    status = start(command).wait()
    if status != 0:
        raise ConnectionError(f"gtlsclient ended with {status}")
    # Its exit status tells of nothing that happens after the start.
    missing = [url for url in urls if not (downloads / Path(urlsplit(url).path).name).exists()]
    if missing:
        raise ConnectionError(f"{len(missing)} of {len(urls)} files did not come")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--testcase", required=True)
    parser.add_argument("--downloads", required=True, type=Path, help="folder the files are written to")
    parser.add_argument("urls", nargs="+", metavar="URL", help="https://HOST:PORT/NAME, all of one server")
    args = parser.parse_args()

    if args.testcase in LACKING:
        raise Unsupported(args.testcase)
    server, options = urlsplit(args.urls[0]), CASES.get(args.testcase, [])
    if args.testcase in ("handshakeloss", "handshakecorruption"):
        for url in args.urls:
            fetch(server, args.downloads, [url], options)
    elif args.testcase in ("resumption", "zerortt"):
        with tempfile.TemporaryDirectory() as folder:
            kept = [f"--session-file={folder}/session", f"--tp-file={folder}/parameters"]
            late = ["--disable-early-data"] if args.testcase == "resumption" else []
            fetch(server, args.downloads, args.urls[:1], kept)
            fetch(server, args.downloads, args.urls[1:], kept + late)
    else:
        fetch(server, args.downloads, args.urls, options)


if __name__ == "__main__":
    play(main)
