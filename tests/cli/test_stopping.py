"""Being asked to stop, as a process of its own."""

import subprocess
import sys

import pytest

PROGRAM = """
import asyncio
from evcontrol.cli.stopping import StopRequest

async def main():
    stop = StopRequest()
    with stop.listening(until_eof={eof}):
        print("ready", flush=True)
        why = await stop.wait()
        print("stopping", flush=True)
        await asyncio.sleep(0.3 if {slow} else 0)
        print(why, stop.by_signal, stop.again, flush=True)

asyncio.run(main())
"""


def started(eof: bool = False, slow: bool = False) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(eof=eof, slow=slow)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize(("number", "name"), [(2, "SIGINT"), (15, "SIGTERM")])
def test_a_signal_is_a_request_and_not_an_end(number: int, name: str) -> None:
    process = started()
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert out == f"stopping\nasked by {name} {number} 0\n"
    assert (err, process.returncode) == ("", 0)


def test_a_second_signal_does_not_cut_the_stop_short() -> None:
    process = started(slow=True)
    assert process.stdout is not None
    process.send_signal(15)
    assert process.stdout.readline() == "stopping\n"
    process.send_signal(2)
    out, err = process.communicate(timeout=20)
    assert out == "asked by SIGTERM 15 1\n"
    assert (err, process.returncode) == ("", 0)


def test_the_end_of_input_is_a_request_where_a_parent_wants_it() -> None:
    out, err = started(eof=True).communicate(timeout=20)
    assert out.startswith("stopping\nasked by the end of its input")
    assert err == ""


def test_an_open_input_does_not_disturb_the_end() -> None:
    process = started(eof=True)
    process.send_signal(15)
    process.wait(timeout=20)
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.communicate()
