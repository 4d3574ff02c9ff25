"""How a program ends that others started, and how those end that it starts."""

import ctypes
import signal
import sys

LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1
ENDING = (signal.SIGTERM, signal.SIGHUP)


def stop_by_exception():
    """SIGTERM and SIGHUP raise SystemExit, as Ctrl-C raises KeyboardInterrupt, so that cleaning up runs."""
    for number in ENDING:
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _stop)


def _stop(number, _):
    for other in ENDING:  # a second one would end the cleaning up
        signal.signal(other, signal.SIG_IGN)
    sys.exit(128 + number)


def end_with_parent():
    """For a process about to begin (preexec_fn): it is killed when the thread that starts it ends, killed or not."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
