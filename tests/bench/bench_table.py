"""The one table of tools/bench: a line for each figure, in the same columns whoever measured it.

p10, median and p90 are of all that was measured for the figure: windows of packets, rounds, repetitions or packets. A
median alone was measured once. Must and aim are the figure's goals: the most that it may be, or with ">=" the least.
The verdict is about the median: "aim" when it meets the aim, "must" when it meets only the must, "MISSED" when not
even that, and nothing where there is no goal or no figure.
"""

import argparse
import collections
import pathlib
import statistics
import subprocess
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "tools"))

from lab.stop import stop_by_exception  # noqa: E402

WHAT_COLUMNS = 88
LAYOUT = f"{{:{WHAT_COLUMNS}}} " + "{:>8} {:>8} {:>8}  {:6} {:>6} {:>6}  {:7}  {}"
HEAD = LAYOUT.format("what", "p10", "median", "p90", "unit", "must", "aim", "verdict", "note")

Goal = collections.namedtuple("Goal", ("must", "aim", "at_least"), defaults=(None, False))
NO_GOAL = Goal(must=None)


def row(beginning, frame):
    """The name of a row of sluice-bench with 1 000 VIPs and 1 000 backends, in bursts of 32."""
    return f"{beginning}/1k-vips/1k-backends/{frame}B/burst-32"


ROWS = {
    row("established/ipip/hash/ipv4/1k-flows", 60): Goal(60, 40),
    row("established/ipip/hash/ipv4/1M-flows", 60): Goal(75, 55),
    row("established/ipip/table/ipv4/1k-flows", 60): Goal(60, 40),
    row("established/ipip/table/ipv4/100k-flows", 60): Goal(95, 75),
    row("established/ipip/table/ipv4/1M-flows", 60): Goal(120, 100),
    row("established/ipip/table/ipv4/10M-flows", 60): Goal(130, 110),
    row("established/ipip/table/ipv6/1k-flows", 74): Goal(75, 50),
    row("established/ipip/table/ipv6/1M-flows", 74): Goal(140, 115),
    row("established/ipip/cookie/ipv4/1k-flows", 66): Goal(80, 55),
    row("established/ipip/cookie/ipv4/1M-flows", 66): Goal(85, 60),
    row("established/ipip/stateful/ipv4/1M-flows", 66): Goal(110, 90),
    row("established/nat/table/ipv4/1M-flows", 60): Goal(160, 130),
    row("established/full-nat/table/ipv4/1M-flows", 60): Goal(160, 130),
    row("new/ipip/table/ipv4/1M-flows", 60): Goal(145, 120),
    row("new/ipip/table/ipv4/1M-flows", 60) + "/1250k-connections": Goal(145, 120),
    row("no-vip/ipip/table/ipv4/1M-flows", 60): Goal(35, 25),
}
GOALS = {
    **ROWS,
    "MaglevBuild/1000/65537": Goal(1.8, 1.2),
    "ConnectionLookup/flows:1000000/prefetch_ahead:16 bytes_per_connection": Goal(32),
    "OneBackendLive/pools:1/backends_per_pool:1000/vips:1/reweight:0/disk:1 p99_ms": Goal(10),
    "OneBackendLive/pools:1/backends_per_pool:1000/vips:1/reweight:1/disk:1 p99_ms": Goal(10),
    "cookie / plain hash": Goal(1.12),
    "SYN / established": Goal(1.2),
    "100 changes a second: share of the time": Goal(3),
    "sluiced / 5tswap at 1 000 flows": Goal(0.7, at_least=True),
    "sluiced / 5tswap at 1 000 000 flows": Goal(0.4, at_least=True),
    "2 cores / 1 core at 1 000 flows: sluiced / 5tswap": Goal(0.97, at_least=True),
}


def spread(values):
    """10th percentile, median and 90th percentile; of one value the median alone, of none nothing."""
    values = list(values)
    if len(values) < 2:
        return None, *(values or [None]), None
    deciles = statistics.quantiles(values, n=10, method="inclusive")
    return deciles[0], deciles[4], deciles[8]


def number(value):
    """With three digits, but with all in front of the point and no more than three behind it."""
    if value is None:
        return ""
    decimals = 3 - sum(abs(value) >= bound for bound in (1, 10, 100))
    return f"{value:.{decimals}f}" if value else "0"


def verdict(goal, median):
    def meets(bound):
        return bound is not None and (median >= bound if goal.at_least else median <= bound)

    if goal.must is None or median is None:
        return ""
    return "aim" if meets(goal.aim) else "must" if meets(goal.must) else "MISSED"


def line(what, values, unit="", note=""):
    """`values`: what spread() returns."""
    goal = GOALS.get(what, NO_GOAL)
    sign = ">=" if goal.at_least else ""
    bounds = ("" if bound is None else f"{sign}{bound:g}" for bound in (goal.must, goal.aim))
    return LAYOUT.format(what, *map(number, values), unit, *bounds, verdict(goal, values[1]), note).rstrip()


def show(what, values, unit="", note=""):
    print(line(what, values, unit, note), flush=True)


def head(arguments):
    """Of a script that has the argument parser below."""
    if not arguments.no_head:
        print(HEAD)


def section(title):
    print(f"\n{title}", flush=True)


def read(text):
    """What and verdict of a printed line."""
    at = HEAD.index("verdict")
    return text[:WHAT_COLUMNS].rstrip(), text[at:at + len("verdict")].strip()


def summary(lines):
    """The last line of a whole run, of which `lines` are all before."""
    verdicts = dict.fromkeys(GOALS, "") | {what: word for what, word in map(read, lines) if what in GOALS}
    words = collections.Counter(verdicts.values())
    text = f"{len(GOALS)} figures have a must: {words['must'] + words['aim']} met, {words['aim']} with their aim"
    for told, word in (("missed", "MISSED"), ("not measured", "")):
        if words[word]:
            text += f"; {told}: " + ", ".join(what for what in verdicts if verdicts[what] == word)
    return text


def argument_parser(description, rounds):
    """What all scripts that print lines of the table can be told."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binaries", type=pathlib.Path, required=True, metavar="DIR", help="those of the build")
    parser.add_argument("--no-head", action="store_true", help="without the table's head, which is printed already")
    parser.add_argument("--rounds", type=int, default=rounds, metavar="N", help="how often each is measured")
    return parser


def each_round(count):
    """0 to `count` - 1, and on a terminal which round it is: their lines come only when all have ended."""
    for at in range(count):
        if sys.stderr.isatty():
            print(f"round {at + 1} of {count}", end="\r", file=sys.stderr, flush=True)
        yield at


def run(main):
    """Ends with a line about it when a program that `main` ran has failed, and so that `main` cleans up by signals."""
    stop_by_exception()
    try:
        main()
    except subprocess.CalledProcessError as error:
        print(error.stderr or "", file=sys.stderr, end="")
        sys.exit(f"{sys.argv[0]}: {' '.join(map(str, error.cmd))} ended with {error.returncode}")
