"""The command line as a whole: wrong use in one line, and Ctrl-C in one line whenever it comes."""

import subprocess
import sys

import pytest

from evcontrol.cli.main import main

INTERRUPTED_IMPORT = """
import sys
from evcontrol.cli.main import main

class Impatient:
    def find_spec(self, name, path=None, target=None):
        if name == "evcontrol.cli.serve":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Impatient())
main(["check", "--help"])
"""


@pytest.mark.parametrize("arguments", [[], ["batch"]])
def test_a_group_without_a_command_shows_its_help_and_nothing_else(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert "Usage: evcontrol" in out
    assert err == ""


def test_ctrl_c_while_the_commands_are_loaded_is_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_IMPORT], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "evcontrol: interrupted\n")
