"""The forwarding as a process of its own, so that it never delays a scan.

``python -m evcontrol.history.forward_main DATA``. Standard input: the target as one line of JSON, then ``finish`` to
send the rest and end. When standard input ends, the engine is gone and so is this process, at once. Standard output:
one report a line, see ``forward_state``.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from pathlib import Path

from evcontrol.history.forward import Forwarder
from evcontrol.history.forward_state import FINISH, ForwardStatus
from evcontrol.history.target import Target

REPORT_S = 0.5
NICENESS = 10
"""Control and its devices come first on a machine with few cores."""


def main() -> None:
    """Run until told to finish, or until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the engine, which ends us in order
    if hasattr(os, "nice"):
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
    forwarder = Forwarder(Path(sys.argv[1]), Target.from_json(sys.stdin.readline()), _report)
    ended = threading.Event()
    threading.Thread(target=_listen, args=(forwarder,), name="engine", daemon=True).start()
    threading.Thread(target=_keep_reporting, args=(forwarder, ended), name="reports", daemon=True).start()
    forwarder.run()
    ended.set()
    _report(forwarder.status)


def _listen(forwarder: Forwarder) -> None:
    while line := sys.stdin.readline():
        if line.strip() == FINISH:
            forwarder.finish()
    os._exit(0)  # whatever is under way: the cursor on disk says where the next one goes on


def _keep_reporting(forwarder: Forwarder, ended: threading.Event) -> None:
    while not ended.wait(REPORT_S):
        _report(forwarder.status)


def _report(status: ForwardStatus) -> None:
    try:
        # One write, since two threads report.
        os.write(sys.stdout.fileno(), f"{status.to_json()}\n".encode())
    except OSError:
        os._exit(0)  # nobody reads it any more


if __name__ == "__main__":
    try:
        main()
    except Exception:  # noqa: BLE001  (told to the engine, which starts another one)
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    # Not through the interpreter's own end, where a thread that waits for input would be in the way.
    os._exit(0)
