#!/usr/bin/python3
"""The alert rules, with promtool: each one fires when its trouble is there for long enough, stays quiet when it was
there for a shorter time, and none fires on a director that is well."""

import pathlib
import subprocess
import tempfile
import unittest

import yaml

PROMETHEUS = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "prometheus"
RULES = PROMETHEUS / "sluice-alerts.yml"
STEP_S = 15
LONG_S = 3600
HALF_A_DAY_STEP_S = 240  # of samples, for what takes longer

# What a director that is well says; the same for as long as a test looks.
WELL = {
    'up{job="sluice"}': 1,
    'process_start_time_seconds{job="sluice"}': 1000,
    'sluice_worker_stalled{worker="0"}': 0,
    'sluice_exception_thread_stalled': 0,
    'sluice_port_up{port="wan"}': 1,
    'sluice_port_rx_missed_total{port="wan"}': 5,
    'sluice_port_rx_no_buffer_total{port="wan"}': 0,
    'sluice_packets_dropped_total{reason="tx_queue_full"}': 3,
    'sluice_packets_dropped_total{reason="punt_queue_full"}': 3,
    'sluice_packets_dropped_total{reason="no_backend"}': 3,
    'sluice_packets_dropped_total{reason="nat_table_full"}': 3,
    'sluice_pool_service{pool="web",service="own"}': 1,
    'sluice_pool_service{pool="web",service="panic"}': 0,
    'sluice_pool_service{pool="web",service="backup"}': 0,
    'sluice_pool_service{pool="web",service="none"}': 0,
    'sluice_backend_up{pool="web",backend="web-1"}': 1,
    'sluice_pool_backends{pool="web",state="draining"}': 0,
    'sluice_backend_next_hop_resolved{pool="web",backend="web-1"}': 1,
    'sluice_connection_table_entries{worker="0",table="ipv4"}': 90,
    'sluice_connection_table_capacity{worker="0",table="ipv4"}': 100,
    'sluice_connection_table_entries{worker="0",table="nat"}': 0,
    'sluice_connection_table_capacity{worker="0",table="nat"}': 0,
    'sluice_connection_table_insert_full_total{worker="0",table="ipv4"}': 3,
    'sluice_connection_table_unconfirmed_full_total{worker="0",table="ipv4"}': 3,
    'sluice_connections_moved_total{worker="0",cause="backend_change"}': 3,
    'sluice_unprotected_packets_total{worker="0",cause="unknown"}': 3,
    'sluice_config_last_reload_successful': 1,
    'sluice_state_generation': 5,
    'sluice_state_generation_in_use': 5,
    'sluice_state_publish_refused_total': 3,
    'sluice_drains_ended_total{phase="finished"}': "3+1x",
    'sluice_drains_ended_total{phase="expired"}': 3,
    'sluice_node_withdrawn': 0,
    'sluice_api_certificate_expiry_timestamp_seconds': 90 * 86400,
    'sluice_backend_load_ratio{pool="web",backend="web-1"}': 1,
    'sluice_cookie_digest_info{ids="1d5",keys="4e75"}': 1,
    'sluice_cookie_digest_info{instance="b",ids="1d5",keys="4e75"}': 1,
}

# Alert -> what is different then, as promtool writes values ("0+30x": grows by 30 each step).
TROUBLE = {
    "SluiceDown": {'up{job="sluice"}': 0},
    "SluiceRestarted": {'process_start_time_seconds{job="sluice"}': "1000 2000x"},
    "SluiceWorkerStalled": {'sluice_worker_stalled{worker="0"}': 1},
    "SluiceExceptionThreadStalled": {'sluice_exception_thread_stalled': 1},
    "SluicePortDown": {'sluice_port_up{port="wan"}': 0},
    "SluicePacketsLost": {'sluice_port_rx_missed_total{port="wan"}': "5+30x"},
    "SluiceHostQueueFull": {'sluice_packets_dropped_total{reason="punt_queue_full"}': "3+30x"},
    "SluicePoolWithoutBackends": {'sluice_pool_service{pool="web",service="none"}': 1},
    "SluicePoolInPanic": {'sluice_pool_service{pool="web",service="panic"}': 1},
    "SluicePoolUsesBackup": {'sluice_pool_service{pool="web",service="backup"}': 1},
    "SluiceBackendDown": {'sluice_backend_up{pool="web",backend="web-1"}': 0},
    "SluiceNoBackendDrops": {'sluice_packets_dropped_total{reason="no_backend"}': "3+30x"},
    "SluiceNextHopUnresolved": {'sluice_backend_next_hop_resolved{pool="web",backend="web-1"}': 0},
    "SluiceConnectionTableNearlyFull": {'sluice_connection_table_entries{worker="0",table="ipv4"}': 91},
    "SluiceConnectionsWithoutEntry": {
        'sluice_connection_table_unconfirmed_full_total{worker="0",table="ipv4"}': "3+30x"},
    "SluiceNatExhausted": {'sluice_packets_dropped_total{reason="nat_table_full"}': "3+30x"},
    "SluiceConnectionsMoved": {'sluice_connections_moved_total{worker="0",cause="backend_change"}': "3+30x"},
    "SluiceUnprotectedPackets": {'sluice_unprotected_packets_total{worker="0",cause="unknown"}': "3+300x"},
    "SluiceReloadFailed": {'sluice_config_last_reload_successful': 0},
    "SluiceStateNotInUse": {'sluice_state_generation': 6},
    "SluiceChangesRefused": {'sluice_state_publish_refused_total': "3+30x"},
    "SluiceDrainLasts": {'sluice_pool_backends{pool="web",state="draining"}': 1},
    "SluiceDrainUnfinished": {'sluice_drains_ended_total{phase="expired"}': "3+1x"},
    "SluiceNodeWithdrawn": {'sluice_node_withdrawn': 1},
    "SluiceCertificateExpires": {'sluice_api_certificate_expiry_timestamp_seconds': 13 * 86400},
    "SluiceCookiesDisagree": {'sluice_cookie_digest_info{instance="c",ids="1d5",keys="014e75"}': 1},
    "SluiceBackendOverloaded": {'sluice_backend_load_ratio{pool="web",backend="web-1"}': 2},
}


def seconds(text):
    return int(text[:-1]) * {"s": 1, "m": 60, "h": 3600}[text[-1]]


def rules():
    groups = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def values(value, steps):
    """For `steps` steps after the first; "a b c" as it is."""
    if isinstance(value, int):
        return f"{value}x{steps}"
    return value.replace("x", f"x{steps}") if value.endswith("x") else value


def with_instance(series):
    name, _, labels = series.partition("{")
    one = "" if "instance=" in labels else 'instance="a"'
    return name + "{" + ",".join(filter(None, [one, labels.rstrip("}")])) + "}"


def case(trouble, at_s, firing):
    """At that time exactly these alerts fire."""
    step_s = STEP_S if at_s <= LONG_S else HALF_A_DAY_STEP_S
    steps = at_s // step_s
    return {
        "interval": f"{step_s}s",
        "input_series": [{"series": with_instance(series), "values": values(value, steps)}
                         for series, value in {**WELL, **trouble}.items()],
        "promql_expr_test": [{
            "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
            "eval_time": f"{at_s}s",
            "exp_samples": [{"labels": f'{{alertname="{alert}"}}', "value": 1} for alert in firing],
        }],
    }


class AlertsTest(unittest.TestCase):
    def promtool(self, *arguments):
        done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False,
                              timeout=120)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def check(self, cases):
        document = {"rule_files": [str(RULES)], "evaluation_interval": "15s", "tests": cases}
        with tempfile.NamedTemporaryFile("w", suffix=".yml", encoding="utf-8") as file:
            yaml.safe_dump(document, file)
            file.flush()
            self.promtool("test", "rules", file.name)

    def test_rules_and_scrape_example_are_valid(self):
        self.promtool("check", "rules", RULES)
        self.promtool("check", "config", PROMETHEUS / "prometheus.yml")

    def test_every_alert_has_a_case_here_and_says_what_to_do(self):
        self.assertEqual(set(rules()), set(TROUBLE))
        for name, rule in rules().items():
            self.assertIn(rule["labels"]["severity"], ("page", "ticket"), name)
            self.assertLess(len(rule["annotations"]["summary"]), 120, name)
            self.assertTrue(rule["annotations"]["description"], name)

    def test_nothing_fires_on_a_director_that_is_well(self):
        self.check([case({}, LONG_S, [])])

    def test_each_alert_fires_when_its_trouble_lasts_and_not_before(self):
        cases = []
        for name, trouble in TROUBLE.items():
            wait_s = seconds(rules()[name].get("for", "0s"))
            # Rates need two samples, so trouble begins to show a step after the first. A time of its own for each,
            # after that of the alert and before that of others that the same trouble would bring in the long run.
            step_s = STEP_S if wait_s <= LONG_S else HALF_A_DAY_STEP_S
            cases.append(case(trouble, wait_s + 3 * step_s, [name]))
            if wait_s > step_s:
                cases.append(case(trouble, wait_s - step_s, []))
        self.check(cases)


if __name__ == "__main__":
    unittest.main()
