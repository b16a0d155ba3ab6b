#!/usr/bin/env python3
"""ngtcp2's gtlsserver (Debian's package) with the command line of the other peers. It speaks HTTP/3 and nothing else.

Prints `listening ADDRESS` once it does, and serves until killed. Exit status 127: unsupported test case.
"""

import argparse
import signal
import socket
import sys
import time

from common import CIPHERS, LACKING, Unsupported, play, start

CASES = {
    "chacha20": [f"--ciphers={CIPHERS}:+CHACHA20-POLY1305"],
    "retry": ["--validate-addr"],
}
# How long it may take to listen, in seconds.
START = 5


def is_open(port: int) -> bool:
    """Whether somebody listens there: a look that takes the port from nobody."""
    for table in ("/proc/net/udp", "/proc/net/udp6"):
        with open(table) as lines:
            if any(line.split()[1].endswith(f":{port:04X}") for line in lines):
                return True
    return False


def any_port(host: str) -> int:
    """A port nobody had a moment ago: gtlsserver does not say which one the system chose."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listen", required=True, help="ADDRESS:PORT")
    parser.add_argument("--cert", required=True, help="certificate chain, PEM")
    parser.add_argument("--key", required=True, help="private key, PEM")
    parser.add_argument("--www", required=True, help="folder of the files")
    parser.add_argument("--preferred", help="connectionmigration: ADDRESS:PORT to listen on, too, and to prefer")
    parser.add_argument("--testcase", required=True)
    args = parser.parse_args()

    if args.testcase in LACKING:
        raise Unsupported(args.testcase)
    options = ["--quiet", f"--htdocs={args.www}", "--handshake-timeout=30s", *CASES.get(args.testcase, [])]
    if args.preferred:
        options.append(f"--preferred-ipv4-addr={args.preferred}")
    host, _, port = args.listen.rpartition(":")
    host = host.strip("[]")
    address = (host, int(port) or any_port(host))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server = start(["gtlsserver", *options, host, str(address[1]), args.key, args.cert])
    try:
        end = time.monotonic() + START
        while not is_open(address[1]):
            if server.poll() is not None or time.monotonic() > end:
                raise ConnectionError("gtlsserver does not listen")
            time.sleep(0.01)
        print(f"listening {f'[{host}]' if ':' in host else host}:{address[1]}", flush=True)
        server.wait()
        raise ConnectionError(f"gtlsserver ended with {server.returncode}")
    finally:
        server.kill()
        server.wait()


if __name__ == "__main__":
    play(main)
