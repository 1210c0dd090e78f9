"""A process that `run_together` starts: it leaves its number, then does what the configuration says of its rank."""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from occfit.errors import OccfitError
from occfit.runs.group.launch import DesertedError, run_together, take_part


def act(config: dict[str, Any]) -> None:
    rank = os.environ["RANK"]
    Path(config["folder"], rank).write_text(str(os.getpid()))
    what = config.get(rank, "end")
    print(f"process {rank} is to {what}", file=sys.stderr)
    if what == "sleep":
        time.sleep(600)
    elif what == "endure":
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        time.sleep(600)
    elif what == "desert":
        raise DesertedError("The first process has ended")
    elif what == "fail":
        time.sleep(config.get("seconds", 0))
        raise OccfitError("The disk is full", "here", "Buy another")
    elif what == "err":

        class OddError(Exception):
            """An error that can't be sent to another process."""

        raise OddError("in a way of its own")
    elif what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "leave":
        os._exit(3)


if __name__ == "__main__":
    if sys.argv[1:]:
        run_together("launched", {"folder": sys.argv[1], "0": "sleep", "1": "sleep"}, 2)
    else:
        sys.exit(take_part(act))
