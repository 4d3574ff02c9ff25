"""Debian's Prometheus in the director's namespace: it scrapes sluiced and evaluates the alert rules of the tree."""

import copy
import http.client
import json
import os
import threading
import urllib.parse

import yaml

from lab import config
from lab.process import LabError, wait_until

ADDRESS = "127.0.0.1:9090"
ANSWER_S = 30
_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RULES = os.path.join(_ROOT, "deploy", "prometheus", "sluice-alerts.yml")


def quick_rules():
    """The rules as they are but for how long their trouble is to last, which is a second."""
    with open(RULES, encoding="utf-8") as file:
        rules = yaml.safe_load(file)
    for group in rules["groups"]:
        for rule in group["rules"]:
            if "for" in rule:
                rule["for"] = "1s"
    return rules


class Prometheus:
    def __init__(self, owner, namespace):
        self._namespace = namespace
        directory = os.path.join(owner.directory, "prometheus")
        os.makedirs(directory, exist_ok=True)
        configuration = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yml"],
            "scrape_configs": [{"job_name": "sluice", "file_sd_configs": [
                {"files": ["targets.json"], "refresh_interval": "1s"}]}],
        }
        self._targets_path = os.path.join(directory, "targets.json")
        self.scrape(config.METRICS_PORT)
        for name, document in (("prometheus.yml", configuration), ("rules.yml", quick_rules())):
            with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
                yaml.safe_dump(document, file)
        self._process = namespace.start("prometheus", [
            "prometheus", f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={directory}/data",
            f"--web.listen-address={ADDRESS}", "--log.level=warn"])
        wait_until(self._ready, 60, "Prometheus is ready")
        # What was seen since the start, by a thread that looks again and again.
        self.fired = set()
        self.answers = {}  # query -> the largest value it gave; None: no data
        self._queries = ()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self):
        self._stop.set()
        self._thread.join(30)
        self._process.stop(timeout=30)

    def scrape(self, *ports):
        """From now on the endpoints at these, of one job."""
        path = self._targets_path + ".new"
        with open(path, "w", encoding="ascii") as file:
            json.dump([{"targets": [f"127.0.0.1:{port}" for port in ports]}], file)
        os.replace(path, self._targets_path)

    def watch_queries(self, queries):
        self._queries = tuple(queries)

    def query(self, expression):
        """[(labels, value)]"""
        answer = self._get("query?" + urllib.parse.urlencode({"query": expression}))
        if answer["resultType"] == "scalar":
            return [({}, float(answer["result"][1]))]
        return [(item["metric"], float(item["value"][1])) for item in answer["result"]]

    def firing(self):
        return {alert["labels"]["alertname"] for alert in self._get("alerts")["alerts"] if alert["state"] == "firing"}

    def wait_fired(self, *names, timeout=120):
        wait_until(lambda: set(names) <= self.fired, timeout, f"{names} fired; so far {sorted(self.fired)}")

    def _watch(self):
        while not self._stop.wait(0.5):
            try:
                self.fired |= self.firing()
                for expression in copy.copy(self._queries):
                    values = [value for _, value in self.query(expression) if value == value]
                    if values:
                        self.answers[expression] = max([self.answers.get(expression) or 0, *values])
                    else:
                        self.answers.setdefault(expression, None)
            except LabError:
                pass  # it is busy: the next look sees it

    def _ready(self):
        if not self._process.running():
            raise LabError(f"Prometheus ended at its start:\n{self._process.log()}")
        done = self._namespace.run(["curl", "-sS", "--max-time", "5", f"http://{ADDRESS}/-/ready"], check=False)
        return done.returncode == 0 and "Ready" in done.stdout

    def _get(self, path):
        host, port = ADDRESS.split(":")
        connection = http.client.HTTPConnection(host, int(port))
        connection.sock = self._namespace.socket()
        try:
            connection.sock.settimeout(ANSWER_S)
            connection.sock.connect((host, int(port)))
            connection.request("GET", f"/api/v1/{path}")
            answer = json.load(connection.getresponse())
        except (OSError, http.client.HTTPException) as error:
            raise LabError(f"Prometheus: {path}: {error}") from error
        finally:
            connection.close()
        if answer["status"] != "success":
            raise LabError(f"Prometheus: {path}: {answer}")
        return answer["data"]
