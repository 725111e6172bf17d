"""The words of each command."""

import argparse
from typing import NoReturn

__all__ = ["BAD_INPUT", "INCONCLUSIVE", "INTERRUPTED", "NOT_REPRODUCED", "REPRODUCED", "make_parser"]

PRESETS = ("quick", "default", "thorough", "full")
EXPORTS = ("csv", "parquet", "tensorboard", "mlflow")
REPRODUCED, NOT_REPRODUCED, BAD_INPUT, INCONCLUSIVE, INTERRUPTED = 0, 1, 2, 3, 130


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one line."""
        self.exit(BAD_INPUT, f"{self.prog}: {message} (try {self.prog} --help)\n")


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = _Parser(prog="separatrix", description="A laboratory for learning dynamics.")
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    store = _Parser(add_help=False)
    store.add_argument("--store", metavar="DIR|URL", default="runs", help="folder, or URL, of all runs (default: runs)")
    store.add_argument("--debug", action="store_true", help="show the traceback of an error")
    as_json = _Parser(add_help=False)
    as_json.add_argument("--json", action="store_true", help="print one JSON document and nothing else")

    command = commands.add_parser("list", parents=[as_json], help="show the studies")
    command.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)

    command = commands.add_parser("explain", help="show a study's claim, method, arms, findings and citation")
    command.add_argument("slug")
    command.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)

    place = _Parser(add_help=False)
    place.add_argument("--on", default="local", metavar="WHERE", help="local (default), ray, or ray://HOST:PORT")
    place.add_argument("--jobs", type=int, default=1, metavar="N", help="processes on this machine (default: 1)")

    command = commands.add_parser(
        "run", parents=[store, as_json, place], help="run what is missing, then show the verdicts"
    )
    command.add_argument("slugs", nargs="+", metavar="SLUG")
    command.add_argument("--preset", choices=PRESETS, default="default", help="size of the study (default: default)")
    command.add_argument("--seeds", type=int, metavar="N", help="number of seeds")
    command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="changes", help="a setting")
    again = command.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="keep what is finished (the default)")
    again.add_argument("--fresh", action="store_true", help="move an earlier run aside and start over")

    size = _Parser(add_help=False)
    size.add_argument("--preset", choices=PRESETS, default="default", help="settings to start from (default: default)")
    size.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="changes", help="a setting")

    command = commands.add_parser("sweep", parents=[store, as_json, size, place], help="run a study's arms over a grid")
    command.add_argument("slug", metavar="SLUG")
    command.add_argument(
        "--over", action="append", required=True, metavar="KEY=LOW:HIGH[:log]:N|A,B,C", help="an axis; may be repeated"
    )
    command.add_argument("--arm", action="append", default=[], dest="arms", metavar="ARM", help="default: every arm")
    command.add_argument("--seeds", type=int, metavar="N", help="number of seeds")
    command.add_argument("--show", metavar="VARIABLE", help="what to draw (default: the first that was measured)")

    command = commands.add_parser("map", parents=[store, as_json, size], help="trace the boundary between two regimes")
    command.add_argument("slug", metavar="SLUG")
    command.add_argument(
        "--over", required=True, metavar="A=LOW:HIGH[:log],B=...", help="ranges of one, two or three settings"
    )
    command.add_argument("--regime", metavar="NAME", help="one of the study's (default: the only one)")
    command.add_argument("--resolution", type=int, default=64, metavar="N", help="cells a side (default: 64)")
    command.add_argument("--coarse", type=int, default=8, metavar="N", help="cells a side at first (default: 8)")
    command.add_argument("--seeds", type=int, default=1, metavar="N", help="most runs at a point (default: 1)")
    command.add_argument("--confidence", type=float, default=0.95, help="that a point is on its side (default: 0.95)")

    which = _Parser(add_help=False)
    which.add_argument("--run", default="", metavar="ID", help="a run of the study by the beginning of its name")
    which.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="changes", help="the run with this change"
    )
    chosen = "the run of this preset with its own settings if there is one, else the newest"

    command = commands.add_parser(
        "verdicts", parents=[store, as_json, which], help="judge the findings of finished runs"
    )
    command.add_argument("slugs", nargs="*", metavar="SLUG")
    command.add_argument("--preset", choices=PRESETS, help=chosen)

    command = commands.add_parser("report", parents=[store, which], help="write one self-contained page")
    command.add_argument("slugs", nargs="+", metavar="SLUG")
    command.add_argument("-o", "--output", default="report.html", metavar="FILE", help="default: report.html")
    command.add_argument("--preset", choices=(*PRESETS, "sweep"), help=f"{chosen}; sweep is the newest sweep")

    command = commands.add_parser("export", parents=[store, which], help="hand the results to another tool")
    command.add_argument("slug", metavar="SLUG")
    command.add_argument("--to", required=True, choices=EXPORTS, help="format")
    command.add_argument("-o", "--output", metavar="PLACE", help="folder, or tracking address for mlflow")
    command.add_argument("--preset", choices=(*PRESETS, "sweep"), help=f"{chosen}; sweep is the newest sweep")

    command = commands.add_parser("view", parents=[store], help="serve a live web page over the store")
    command.add_argument("files", nargs="*", metavar="FILE.py", help="studies of your own, beside those installed")
    command.add_argument("--port", type=int, default=8765, help="0 takes a free one (default: 8765)")
    command.add_argument("--host", default="127.0.0.1", help="other than this machine's loopback only with --token")
    command.add_argument("--token", metavar="T", help="secret that a visitor must know")
    return parser
