#!/usr/bin/python3
"""The dashboards: what is in the tree is what the generator makes, and has the form that Grafana documents ("dashboard
JSON model", "panel options", "template variables"); every query is one that Prometheus understands."""

import copy
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "grafana"))

# pylint: disable=wrong-import-position
import dashboards
import grafana_form

# Of Grafana's units those that are in use.
UNITS = {"none", "short", "pps", "bps", "ops", "s", "percentunit", "bool"}
PANELS = {"timeseries", "stat", "table"}


def boards():
    return {path.name: json.loads(path.read_text("utf-8")) for path in sorted(dashboards.FOLDER.glob("*.json"))}


def plain(expression):
    """Without Grafana's variables."""
    return re.sub(r"\$\{?\w+\}?", lambda match: "1m" if "interval" in match[0] else ".*", expression)


class DashboardsTest(unittest.TestCase):
    def test_the_tree_has_what_the_generator_makes(self):
        written = {path.name: path.read_text("utf-8") for path in dashboards.FOLDER.glob("*.json")}
        self.assertEqual(written, dashboards.documents(), "run tools/grafana/dashboards.py")
        self.assertEqual(len(written), 5)

    def test_dashboards_have_the_documented_form(self):
        uids = set()
        for name, board in boards().items():
            with self.subTest(dashboard=name):
                self.assertEqual(grafana_form.problems(board, grafana_form.DASHBOARD), [])
                self.assertRegex(board["uid"], r"^[a-z0-9-]{1,40}$")
                uids.add(board["uid"])
        self.assertEqual(len(uids), 5)

    def test_what_has_another_form_is_found(self):
        board = next(iter(boards().values()))
        for change, complaint in (
                (lambda b: b["panels"][0].update(tittle="x"), "$.panels[0].tittle: is not known to Grafana"),
                (lambda b: b["panels"][0].update(type="graph"), "$.panels[0].type: 'graph' is none of"),
                (lambda b: b.pop("time"), "$: has no time"),
                (lambda b: b.update(__inputs=[]), "$.__inputs: is not known"),
                (lambda b: b["templating"]["list"][1].update(refresh="2"), "refresh: '2' is none of"),
                (lambda b: b["panels"][0]["gridPos"].update(w="12"), "w: '12' is not of int")):
            wrong = copy.deepcopy(board)
            change(wrong)
            self.assertIn(complaint, "\n".join(grafana_form.problems(wrong, grafana_form.DASHBOARD)))

    def test_panels_have_units_descriptions_and_a_place_of_their_own(self):
        for name, board in boards().items():
            ids, taken = set(), set()
            for panel in board["panels"]:
                with self.subTest(dashboard=name, panel=panel["title"]):
                    self.assertIn(panel["type"], PANELS)
                    self.assertNotIn(panel["id"], ids)
                    ids.add(panel["id"])
                    self.assertEqual(panel["datasource"], {"type": "prometheus", "uid": "${datasource}"})
                    self.assertIn(panel["fieldConfig"]["defaults"]["unit"], UNITS)
                    self.assertIsInstance(panel["fieldConfig"]["overrides"], list)
                    self.assertIsInstance(panel["options"], dict)
                    self.assertGreater(len(panel["targets"]), 0)
                    refs = [target["refId"] for target in panel["targets"]]
                    self.assertEqual(len(set(refs)), len(refs))
                    place = panel["gridPos"]
                    self.assertEqual(set(place), {"x", "y", "w", "h"})
                    self.assertLessEqual(place["x"] + place["w"], 24)
                    cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                             for y in range(place["y"], place["y"] + place["h"])}
                    self.assertFalse(cells & taken, "panels lie on each other")
                    taken |= cells

    def test_variables_are_defined_and_used(self):
        for name, board in boards().items():
            with self.subTest(dashboard=name):
                variables = {item["name"]: item for item in board["templating"]["list"]}
                self.assertEqual(list(variables)[:3], ["datasource", "job", "instance"])
                self.assertEqual(variables["datasource"]["type"], "datasource")
                text = json.dumps([board["panels"], board["annotations"]])
                used = set(re.findall(r"\$\{?(\w+)", text)) - {"__rate_interval"}
                self.assertEqual(used, set(variables))
                for item in list(variables.values())[1:]:
                    self.assertEqual(item["type"], "query")
                    self.assertRegex(item["query"]["query"], r"^label_values\(sluice_.*, \w+\)$")

    def test_prometheus_understands_every_query(self):
        expressions = {plain(target["expr"]) for board in boards().values() for panel in board["panels"]
                       for target in panel["targets"]}
        expressions |= {plain(item["expr"]) for board in boards().values() for item in board["annotations"]["list"]}
        rules = [{"record": f"test:{i}", "expr": text} for i, text in enumerate(sorted(expressions))]
        with tempfile.NamedTemporaryFile("w", suffix=".yml", encoding="utf-8") as file:
            yaml.safe_dump({"groups": [{"name": "dashboards", "rules": rules}]}, file)
            file.flush()
            done = subprocess.run(["promtool", "check", "rules", file.name], capture_output=True, text=True,
                                  check=False, timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
