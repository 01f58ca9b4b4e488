"""The second half of `compare`, inside the virtual environment."""

import sys

from peer_runner.command import parse
from peer_runner.failure import Failure
from peer_runner.session import run

if __name__ == "__main__":
    try:
        run(parse(sys.argv[1:]))
    except Failure as failure:
        sys.exit(f"compare: {failure}")
    except KeyboardInterrupt:
        sys.exit("compare: interrupted; what was built is kept")
