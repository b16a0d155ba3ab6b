"""What both ends of ngtcp2 share."""

import ctypes
import signal
import subprocess
import sys

# TLS 1.3 without a cipher suite, for GnuTLS.
CIPHERS = "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL"
UNSUPPORTED = 127
# No DATAGRAM frames, and of version 2 only a draft's number, 0x709a50c4.
LACKING = {"datagram", "v2"}
PR_SET_PDEATHSIG = 1


class Unsupported(Exception):
    """The stack cannot play the test case."""


def start(command: list[str]) -> subprocess.Popen:
    """A program that does not outlive this one."""
    libc = ctypes.CDLL(None)
    return subprocess.Popen(command, preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL))


def play(main):
    """Runs a program and says by its exit status how it went."""
    try:
        main()
    except Unsupported as case:
        print(f"unsupported test case: {case}", file=sys.stderr)
        sys.exit(UNSUPPORTED)
    except (OSError, ValueError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        pass
