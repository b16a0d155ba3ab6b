"""What both aioquic peers share: the cases they can play, TLS settings and the HTTP/0.9 request line."""

import os
import sys

from aioquic.quic.configuration import QuicConfiguration
from aioquic.tls import CipherSuite

ALPN = "hq-interop"
UNSUPPORTED = 127
# aioquic neither marks packets nor counts marks, so there is no `ecn`. Its server has no setting for a preferred address.
CLIENTS_CASES = {"connectionmigration"}
CASES = {
    "handshake",
    "transfer",
    "multiplexing",
    "retry",
    "chacha20",
    "keyupdate",
    "versionnegotiation",
    "datagram",
    "longrtt",
    "blackhole",
    "amplificationlimit",
    "ipv6",
    "goodput",
    "crosstraffic",
    "transferloss",
    "transfercorruption",
    "handshakeloss",
    "handshakecorruption",
    "rebind-port",
    "rebind-addr",
    "migration",
    "resumption",
    "zerortt",
    "v2",
}
VERSION_1 = 0x00000001
VERSION_2 = 0x6B3343CF
# Of the pattern reserved for forcing negotiation (RFC 9000, section 15).
RESERVED_VERSION = 0x1A2A3A4A


def configuration(case: str, is_client: bool) -> QuicConfiguration:
    """The settings of a test case; exits with 127 if it cannot be played."""
    if case not in CASES and not (is_client and case in CLIENTS_CASES):
        print(f"unsupported test case: {case}", file=sys.stderr)
        sys.exit(UNSUPPORTED)
    settings = QuicConfiguration(
        is_client=is_client,
        alpn_protocols=[ALPN],
        max_data=16 << 20,
        max_stream_data=4 << 20,
        supported_versions=[VERSION_1],
    )
    if case == "chacha20":
        settings.cipher_suites = [CipherSuite.CHACHA20_POLY1305_SHA256]
    if case == "v2":
        settings.supported_versions = [VERSION_2, VERSION_1]
        settings.original_version = VERSION_1
    if case == "datagram":
        settings.max_datagram_frame_size = 65535
    if "SSLKEYLOGFILE" in os.environ:
        settings.secrets_log_file = open(os.environ["SSLKEYLOGFILE"], "a", buffering=1)
    return settings
