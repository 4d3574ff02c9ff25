#!/usr/bin/python3
"""published_rows.py SLUICE-SIM: the whole workload, 10 000 s, against what was published of mod-N, Maglev's table and
rendezvous hashing, and Sluice's own ladder, which must break nothing where its directors stay, nor with cookies where
they come and go."""

import json
import subprocess
import sys

# Updates in a minute: mode: percent of connections broken while the server is up, and with draining ones.
PUBLISHED = {
    1.56: {},
    15.6: {
        "mod-n": (49.8, None),
        "maglev": (2.29, 3.34),
        "rendezvous": (0.874, 1.96),
        "maglev+second-chance": (0.305, 0.504),
        "rendezvous+second-chance": (0.0219, 0.118),
    },
    78: {
        "maglev": (5.34, 9.41),
        "rendezvous": (3.35, 7.61),
        "maglev+second-chance": (0.784, 2.48),
        "rendezvous+second-chance": (0.295, 1.66),
    },
}
TOLERANCE = 0.2
NOTHING_BREAKS = ["track", "track_unsafe", "stateful"]
# All clients have timestamps, so that there is nothing but cookies.
COMING_AND_GOING = ["--director-updates", "2", "--no-timestamps", "0"]


def simulate(program, updates, modes, *more):
    command = [program, "--json", "--seconds", "10000", "--updates", str(updates), "--modes", ",".join(modes), *more]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def check(result, published):
    wrong = []
    for outcome in result["outcomes"]:
        mode = outcome["mode"]
        for key, expected in zip(("broken_up", "broken_up_or_draining"), published.get(mode, (0, 0))):
            if key not in outcome:
                continue
            share = 100 * outcome[key]["sum"] / result["connections"]
            print(f"{result['updates_per_min']:5}/min {mode:26} {key:22} {share:8.4f} %  published: {expected}")
            if expected is not None and abs(share - expected) > TOLERANCE * expected:
                wrong.append(f"{mode} {key}")
    return wrong


def main():
    wrong = []
    for updates, published in PUBLISHED.items():
        wrong += check(simulate(sys.argv[1], updates, [*published, *NOTHING_BREAKS]), published)
        wrong += check(simulate(sys.argv[1], updates, ["cookie"], *COMING_AND_GOING), {})
    if wrong:
        sys.exit(f"not as published: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
