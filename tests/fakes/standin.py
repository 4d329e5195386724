"""What the stand-ins for vendors' programs share: ways to fail, chosen by an environment variable, and report parts.

The figures are made up from the project's weights, so that a larger network costs more.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

LICENCES = ("LM_LICENSE_FILE", "XILINXD_LICENSE_FILE", "MGLS_LICENSE_FILE", "SALT_LICENSE_SERVER")


def behaviour(vendor: str) -> str:
    """What the environment variable FAKE_<VENDOR> asks for."""
    return os.environ.get(f"FAKE_{vendor.upper()}", "success")


def misbehave(vendor: str) -> None:
    """Hang, crash, lack a licence or be killed for memory, if asked for; notes the licences that it was given.

    `child.pid` names a process that hangs along.
    """
    given = {name: os.environ[name] for name in LICENCES if name in os.environ}
    Path("licences.txt").write_text("\n".join(f"{name}={value}" for name, value in given.items()))
    wanted = behaviour(vendor)
    if wanted == "hang":
        child = subprocess.Popen(["sleep", "600"])
        Path("child.tmp").write_text(str(child.pid))
        Path("child.tmp").rename("child.pid")
        child.wait()
    if wanted == "exit_1":
        print("Error: something is wrong with the source", flush=True)
        sys.exit(1)
    if wanted == "no_licence":
        print("Error: Failed to obtain a license for feature 'hls'", flush=True)
        sys.exit(1)
    if wanted == "memory":
        os.kill(os.getpid(), signal.SIGKILL)


def nonzero_weights(folder: Path) -> int:
    """Weights in hls4ml's files below `folder` that are not zero."""
    count = 0
    for file in folder.glob("w*.txt"):
        count += sum(float(value) != 0 for value in file.read_text().replace(",", " ").split())
    if not count:  # the backends for Intel write the weights as initialisers
        for file in folder.glob("w*.h"):
            values = file.read_text().rpartition("{")[2].partition("}")[0].split(",")
            count += sum(float(value) != 0 for value in values)
    assert count, f"no weights in {folder}"
    return count


def write(path: Path, text: str, broken: bool = False) -> None:
    """Write a file and the folders above it; half of it only if it is to be broken."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text[: len(text) // 2] if broken else text)
