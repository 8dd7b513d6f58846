"""``evcontrol``: the entry point. It imports the commands late, so that Ctrl-C is told in one line from the start."""

from __future__ import annotations

import sys

from evcontrol.cli.fault import INTERRUPTED


def main(arguments: list[str] | None = None) -> None:
    """Run one command and end the process with its exit status."""
    try:
        from evcontrol.cli.commands import run  # noqa: PLC0415  (the imports take longer than some people wait)

        status = run(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        print("evcontrol: interrupted", file=sys.stderr, flush=True)
        status = INTERRUPTED
    sys.exit(status)


if __name__ == "__main__":
    main()
