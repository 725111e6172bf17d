"""The command line. Heavy imports wait until a command needs them, so that `--help` answers at once."""

import os
import sys
import traceback
from collections.abc import Sequence

from . import commands_that_compute as compute, commands_that_show as show
from .arguments import BAD_INPUT, make_parser

__all__ = ["main"]

_COMMANDS = {
    "list": show.list_studies,
    "explain": show.explain,
    "run": compute.run,
    "sweep": compute.sweep,
    "map": compute.trace_map,
    "verdicts": show.verdicts,
    "report": show.report,
    "export": show.export,
    "view": show.view,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command.

    Args:
        arguments: words after the program's name; those of the process by default.

    Returns:
        The exit code: 0 done, 1 a finding is not reproduced or a cell failed, 2 bad input, 3 inconclusive, 130 stopped.
    """
    parser = make_parser()
    words = parser.parse_args(arguments)
    if words.version:
        from separatrix import __version__

        print(__version__)
        return 0
    if words.command is None:
        parser.print_help()
        return 0
    from separatrix.study.errors import UsageError
    from separatrix.study.files import StoreError

    try:
        return _COMMANDS[words.command](words)
    except (UsageError, StoreError) as error:
        if words.debug:
            traceback.print_exc()
        print(f"separatrix: {error}", file=sys.stderr)
        return BAD_INPUT
    except BrokenPipeError:  # the reader of our output has gone, as in `separatrix list | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
