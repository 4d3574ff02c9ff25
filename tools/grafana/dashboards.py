#!/usr/bin/python3
"""Writes Grafana's dashboards into deploy/grafana: `tools/grafana/dashboards.py`. A test compares.

The JSON has what Grafana's "dashboard JSON model" describes, for import as it is: the data source is a variable, ids
are fixed, nothing refers to the machine it was made on.
"""

import json
import pathlib

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "grafana"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
RATE = "$__rate_interval"
HERE = 'job=~"$job",instance=~"$instance"'

NOBODY = 'service="none"'

# ---- variables


def datasource_variable():
    return {"name": "datasource", "type": "datasource", "label": "Data source", "query": "prometheus", "hide": 0,
            "includeAll": False, "multi": False, "refresh": 1, "regex": "", "current": {}, "options": []}


def variable(name, label, query, many=True):
    return {"name": name, "type": "query", "label": label, "datasource": SOURCE,
            "query": {"query": query, "refId": name}, "definition": query, "hide": 0, "includeAll": many,
            "allValue": ".*" if many else None, "multi": many, "refresh": 2, "regex": "", "sort": 1,
            "current": {}, "options": []}


JOB = variable("job", "Job", "label_values(sluice_build_info, job)")
INSTANCE = variable("instance", "Director", 'label_values(sluice_build_info{job=~"$job"}, instance)')

# ---- panels


def target(expr, legend, ref="A", instant=False):
    return {"refId": ref, "datasource": SOURCE, "expr": expr, "legendFormat": legend, "range": not instant,
            "instant": instant, "format": "table" if instant else "time_series"}


def graph(title, unit, *queries, description="", stacked=False, maximum=None):
    """`queries`: pairs of expression and legend."""
    defaults = {"unit": unit, "min": 0, "color": {"mode": "palette-classic"},
                "custom": {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 20 if stacked else 5,
                           "showPoints": "never", "spanNulls": False,
                           "stacking": {"mode": "normal" if stacked else "none", "group": "A"}}}
    if maximum is not None:
        defaults["max"] = maximum
    return {"type": "timeseries", "title": title, "description": description, "datasource": SOURCE,
            "targets": [target(expr, legend, chr(ord("A") + i)) for i, (expr, legend) in enumerate(queries)],
            "fieldConfig": {"defaults": defaults, "overrides": []},
            "options": {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
                        "tooltip": {"mode": "multi", "sort": "desc"}}}


def number(title, unit, expr, description="", alarm_above=None):
    steps = [{"color": "green", "value": None}]
    if alarm_above is not None:
        steps.append({"color": "red", "value": alarm_above})
    return {"type": "stat", "title": title, "description": description, "datasource": SOURCE,
            "targets": [target(expr, "")],
            "fieldConfig": {"defaults": {"unit": unit, "color": {"mode": "thresholds"}, "mappings": [],
                                         "thresholds": {"mode": "absolute", "steps": steps}}, "overrides": []},
            "options": {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
                        "colorMode": "value", "graphMode": "area", "orientation": "auto", "textMode": "auto"}}


def table(title, expr, description=""):
    return {"type": "table", "title": title, "description": description, "datasource": SOURCE,
            "targets": [target(expr, "", instant=True)],
            "transformations": [{"id": "organize", "options": {"excludeByName": {"Time": True, "__name__": True,
                                                                                "Value": True}}}],
            "fieldConfig": {"defaults": {"unit": "none", "custom": {"align": "auto"}}, "overrides": []},
            "options": {"showHeader": True}}


def dashboard(uid, title, description, variables, rows):
    """`rows`: lists of panels; those of a row share its width."""
    panels, y = [], 0
    for row in rows:
        height = 4 if all(panel["type"] == "stat" for panel in row) else 8
        width = 24 // len(row)
        for i, panel in enumerate(row):
            panels.append({"id": len(panels) + 1, **panel,
                           "gridPos": {"x": i * width, "y": y, "w": width, "h": height}})
        y += height
    return {"id": None, "uid": uid, "title": title, "description": description, "tags": ["sluice"],
            "timezone": "browser", "editable": True, "graphTooltip": 1, "schemaVersion": 37, "version": 1,
            "refresh": "30s", "time": {"from": "now-1h", "to": "now"}, "timepicker": {}, "fiscalYearStartMonth": 0,
            "liveNow": False, "weekStart": "",
            "links": [{"type": "dashboards", "title": "Sluice", "tags": ["sluice"], "asDropdown": True,
                       "includeVars": True, "keepTime": True, "targetBlank": False, "icon": "external link",
                       "tooltip": "", "url": ""}],
            "annotations": {"list": [{"name": "State published", "datasource": SOURCE, "enable": True, "hide": False,
                                      "iconColor": "blue", "titleFormat": "new state on {{instance}}",
                                      "expr": f"changes(sluice_state_generation{{{HERE}}}[1m]) > 0"}]},
            "templating": {"list": [datasource_variable(), JOB, INSTANCE, *variables]}, "panels": panels}


def rate(metric, *by, labels=""):
    """The sum of a counter's rates."""
    inner = f"rate({metric}{{{HERE}{',' if labels else ''}{labels}}}[{RATE}])"
    return f"sum by ({', '.join(by)}) ({inner})" if by else f"sum({inner})"


def gauge(metric, labels=""):
    return f"{metric}{{{HERE}{',' if labels else ''}{labels}}}"


# ---- the five


def fleet():
    return dashboard("sluice-fleet", "Sluice / Fleet", "All directors: traffic, health, what is wrong.", [], [
        [number("Directors up", "none", f"sum(up{{{HERE}}})"),
         number("Flows alive", "short", f"sum({gauge('sluice_backend_flows')})"),
         number("Packets received", "pps", rate("sluice_packets_received_total")),
         number("Packets dropped", "pps", rate("sluice_packets_dropped_total")),
         number("Workers stalled", "none", f"sum({gauge('sluice_worker_stalled')})", alarm_above=1),
         number("Pools without backends", "none",
                f"count({gauge('sluice_pool_service', NOBODY)} == 1) or vector(0)", alarm_above=1),
         number("Backends down", "none", f"count({gauge('sluice_backend_up')} == 0) or vector(0)", alarm_above=1),
         number("Directors withdrawn", "none", f"sum({gauge('sluice_node_withdrawn')})", alarm_above=1)],
        [graph("Packets received", "pps", (rate("sluice_packets_received_total", "instance"), "{{instance}}")),
         graph("Bits received", "bps", (rate("sluice_port_rx_bytes_total", "instance") + " * 8", "{{instance}}"))],
        [graph("Fates of packets", "pps",
               (rate("sluice_packets_forwarded_total"), "forwarded"),
               (rate("sluice_packets_answered_total"), "answered"),
               (rate("sluice_packets_punted_total"), "to the host"),
               (rate("sluice_packets_sent_for_host_total"), "for the host"),
               (rate("sluice_packets_dropped_total"), "dropped"), stacked=True),
         graph("New flows", "ops", (rate("sluice_vip_new_flows_total", "instance"), "{{instance}}"))],
        [graph("Connections moved", "ops", (rate("sluice_connections_moved_total", "instance", "cause"),
                                            "{{instance}} {{cause}}"),
               description="backend_change: lost their backend. director_change, eviction: only the hash placed them."),
         graph("Unprotected packets", "pps", (rate("sluice_unprotected_packets_total", "instance", "cause"),
                                              "{{instance}} {{cause}}"),
               description="Of running TCP connections that came without entry or cookie.")],
        [graph("State generation", "none", (gauge("sluice_state_generation"), "{{instance}}"),
               (gauge("sluice_state_generation_in_use"), "{{instance}} in use")),
         graph("Time to publish a change", "s",
               (f"histogram_quantile(0.99, {rate('sluice_state_publish_duration_seconds_bucket', 'le', 'instance')})",
                "{{instance}} p99"),
               (gauge("sluice_state_last_publish_duration_seconds"), "{{instance}} last")),
         graph("API calls", "ops", (rate("sluice_api_calls_total", "method", "code"), "{{method}} {{code}}")),
         graph("Time of API calls", "s",
               (f"histogram_quantile(0.99, {rate('sluice_api_call_duration_seconds_bucket', 'le', 'method')})",
                "{{method}} p99"))],
        [graph("Drains on their way", "none", (gauge("sluice_drains_active"), "{{instance}}")),
         graph("Flows left of drains", "short", (gauge("sluice_drain_flows_left"), "{{instance}} {{object}}")),
         graph("Time until drains' deadlines", "s",
               (f"{gauge('sluice_drain_deadline_timestamp_seconds')} - time()", "{{instance}} {{object}}")),
         graph("Drains that ended", "none",
               (f"sum by (phase) (increase({gauge('sluice_drains_ended_total')}[$__rate_interval]))", "{{phase}}"),
               description="expired: the deadline came first. failed: what was to follow was refused.")],
        [table("Versions", gauge("sluice_build_info")),
         table("Digests of cookies", gauge("sluice_cookie_digest_info"),
               "Equal on all directors of a cluster that read cookies alike. ids: VIPs, layouts, backends' addresses "
               "and ids; keys: the keys."),
         graph("Internal ids in use", "percentunit",
               (f"sum by (instance, kind) ({gauge('sluice_ids')}) / on (instance, kind) {gauge('sluice_ids_limit')}",
                "{{instance}} {{kind}}"), maximum=1)],
    ])


def vip():
    chosen = 'vip=~"$vip"'
    labels = [variable("vip", "VIP", f"label_values(sluice_vip_info{{{HERE}}}, vip)")]
    return dashboard("sluice-vip", "Sluice / VIP", "Traffic of virtual IPs.", labels, [
        [graph("Packets", "pps", (rate("sluice_vip_packets_total", "vip", labels=chosen), "{{vip}}")),
         graph("Bits", "bps", (rate("sluice_vip_bytes_total", "vip", labels=chosen) + " * 8", "{{vip}}"))],
        [graph("New flows", "ops", (rate("sluice_vip_new_flows_total", "vip", labels=chosen), "{{vip}}")),
         graph("Dropped", "pps", (rate("sluice_vip_dropped_packets_total", "vip", labels=chosen), "{{vip}}"))],
        [graph("Packets by director", "pps",
               (rate("sluice_vip_packets_total", "instance", labels=chosen), "{{instance}}"), stacked=True),
         graph("Unprotected packets", "pps",
               (rate("sluice_vip_unprotected_packets_total", "vip", labels=chosen), "{{vip}}"))],
        [graph("Backends' packets through the director", "pps",
               (rate("sluice_vip_reply_packets_total", "vip", labels=chosen), "{{vip}}"),
               description="With address translation; elsewhere backends answer clients directly."),
         graph("Backends' bits through the director", "bps",
               (rate("sluice_vip_reply_bytes_total", "vip", labels=chosen) + " * 8", "{{vip}}"))],
        [table("VIPs", gauge("sluice_vip_info", chosen))],
    ])


def backend():
    of_pool = 'pool=~"$pool"'
    chosen = f'{of_pool},backend=~"$backend"'
    labels = [variable("pool", "Pool", f"label_values(sluice_backend_weight{{{HERE}}}, pool)"),
              variable("backend", "Backend", f'label_values(sluice_backend_weight{{{HERE},pool=~"$pool"}}, backend)')]
    legend = "{{pool}}/{{backend}}"
    by = ("pool", "backend")
    return dashboard("sluice-backend", "Sluice / Backend", "Traffic, flows and state of backends.", labels, [
        [graph("Packets", "pps", (rate("sluice_backend_packets_total", *by, labels=chosen), legend)),
         graph("Bits", "bps", (rate("sluice_backend_bytes_total", *by, labels=chosen) + " * 8", legend))],
        [graph("Flows alive", "short", (f"sum by (pool, backend) ({gauge('sluice_backend_flows', chosen)})", legend)),
         graph("New flows", "ops", (rate("sluice_backend_flows_started_total", *by, labels=chosen), legend))],
        [graph("Share of the hash slots", "percentunit",
               (f"avg by (pool, backend) ({gauge('sluice_backend_slot_ratio', chosen)})", legend), maximum=1),
         graph("Weight", "none", (f"max by (pool, backend) ({gauge('sluice_backend_weight', chosen)})", legend))],
        [graph("Share of the weight that counts", "percentunit",
               (f"min by (pool, backend) ({gauge('sluice_backend_weight_used_ratio', chosen)})", legend), maximum=1,
               description="Less than all in a slow start, and where the backend reports more load than others."),
         graph("Reported load", "percentunit",
               (f"max by (pool, backend) ({gauge('sluice_backend_load_ratio', chosen)})", legend))],
        [graph("Health checks", "ops", (rate("sluice_health_checks_total", "result", labels=chosen), "{{result}}")),
         graph("Checks that changed their mind", "ops",
               (rate("sluice_health_check_transitions_total", *by, labels=chosen), legend)),
         graph("Time of a check that passes", "s",
               (f"{rate('sluice_health_check_duration_seconds_total', *by, labels=chosen)} / " +
                rate("sluice_health_checks_total", *by, labels=f'{chosen},result="passed"'), legend))],
        [graph("Backends of the pool", "none",
               (f"max by (pool, state) ({gauge('sluice_pool_backends', of_pool)})",
                "{{pool}} {{state}}")),
         graph("Flows left on backends that drain", "short",
               (f"sum by (pool, backend) ({gauge('sluice_backend_flows', chosen)} and "
                f"{gauge('sluice_backend_draining', chosen)} == 1)", legend)),
         graph("Up", "bool", (f"min by (pool, backend) ({gauge('sluice_backend_up', chosen)})", legend), maximum=1)],
        [graph("Who takes the pool's new flows", "none",
               (f"sum by (pool, service) ({gauge('sluice_pool_service', of_pool)})", "{{pool}} {{service}}"),
               description="By directors: its own backends, all of them in panic, its backup, or none."),
         graph("Next hop known", "bool",
               (f"min by (pool, backend) ({gauge('sluice_backend_next_hop_resolved', chosen)})", legend), maximum=1)],
    ])


def worker():
    chosen = 'worker=~"$worker"'
    labels = [variable("worker", "Worker", f"label_values(sluice_worker_info{{{HERE}}}, worker)")]
    legend = "{{instance}} {{worker}}"
    by = ("instance", "worker")
    busy, idle = (rate(f"sluice_worker_{kind}_cycles_total", *by, labels=chosen) for kind in ("busy", "idle"))
    asleep = rate("sluice_worker_sleep_seconds_total", *by, labels=chosen)
    return dashboard("sluice-worker", "Sluice / Worker", "Workers, their tables, and the ports they serve.", labels, [
        [graph("Busy", "percentunit", (f"{busy} / ({busy} + {idle}) * (1 - clamp_max({asleep}, 1))", legend), maximum=1,
               description="Share of the time spent with packets."),
         graph("Asleep", "percentunit", (asleep, legend), maximum=1)],
        [graph("Received", "pps", (rate("sluice_worker_packets_received_total", *by, labels=chosen), legend)),
         graph("Forwarded", "pps", (rate("sluice_worker_packets_forwarded_total", *by, labels=chosen), legend)),
         graph("Dropped", "pps", (rate("sluice_worker_packets_dropped_total", *by, labels=chosen), legend))],
        [graph("What chose the backend", "pps",
               (rate("sluice_worker_rung_packets_total", "rung", labels=chosen), "{{rung}}"), stacked=True),
         graph("Between workers", "pps",
               (rate("sluice_worker_handed_over_packets_total", *by, labels=chosen), legend + " given"),
               (rate("sluice_worker_taken_over_packets_total", *by, labels=chosen), legend + " taken")),
         graph("Copies for other backends", "pps",
               (rate("sluice_worker_copied_packets_total", *by, labels=chosen), legend + " packets"),
               (rate("sluice_worker_copies_total", *by, labels=chosen), legend + " copies"),
               (rate("sluice_worker_copies_limited_packets_total", *by, labels=chosen), legend + " beyond the limit"),
               (rate("sluice_worker_copies_no_buffer_total", *by, labels=chosen), legend + " without a buffer"),
               description="Resets and ICMP errors that may be any backend's. Beyond the limit: node.copies_per_s.")],
        [graph("Connection table in use", "percentunit",
               (f"{gauge('sluice_connection_table_entries', chosen)} / "
                f"({gauge('sluice_connection_table_capacity', chosen)} > 0)", legend + " {{table}}"), maximum=1),
         graph("Flows entered and ended", "ops",
               (rate("sluice_connection_table_inserted_total", "table", labels=chosen), "{{table}} entered"),
               (rate("sluice_connection_table_expired_total", "table", labels=chosen), "{{table}} ended")),
         graph("Flows without an entry", "ops",
               (rate("sluice_connection_table_insert_full_total", "table", labels=chosen), "{{table}} no room"),
               (rate("sluice_connection_table_unconfirmed_full_total", "table", labels=chosen), "{{table}} flood"))],
        [graph("Port: bits", "bps",
               (rate("sluice_port_rx_bytes_total", "instance", "port") + " * 8", "{{instance}} {{port}} in"),
               (rate("sluice_port_tx_bytes_total", "instance", "port") + " * 8", "{{instance}} {{port}} out")),
         graph("Port: lost before a worker saw them", "pps",
               (rate("sluice_port_rx_missed_total", "instance", "port"), "{{instance}} {{port}} missed"),
               (rate("sluice_port_rx_no_buffer_total", "instance", "port"), "{{instance}} {{port}} no buffer"),
               (rate("sluice_port_rx_errors_total", "instance", "port"), "{{instance}} {{port}} errors")),
         graph("Port: link", "bool", (gauge("sluice_port_up"), "{{instance}} {{port}}"), maximum=1)],
        [table("Workers", gauge("sluice_worker_info", chosen)),
         graph("Stalled", "bool", (gauge("sluice_worker_stalled", chosen), legend),
               (gauge("sluice_exception_thread_stalled"), "{{instance}} thread to the host"), maximum=1)],
    ])


def drops():
    chosen = 'reason=~"$reason"'
    labels = [variable("reason", "Reason", f"label_values(sluice_packets_dropped_total{{{HERE}}}, reason)")]
    return dashboard("sluice-drops", "Sluice / Drops", "What was dropped, why, and where.", labels, [
        [graph("Dropped by reason", "pps",
               (rate("sluice_packets_dropped_total", "reason", labels=chosen) + " > 0", "{{reason}}"), stacked=True)],
        [graph("Dropped by director", "pps",
               (rate("sluice_packets_dropped_total", "instance", labels=chosen), "{{instance}}")),
         graph("Share of what was received", "percentunit",
               (f"{rate('sluice_packets_dropped_total', 'instance', labels=chosen)} / "
                f"{rate('sluice_packets_received_total', 'instance')}", "{{instance}}"))],
        [graph("Dropped by VIP", "pps",
               (f"topk(10, {rate('sluice_vip_dropped_packets_total', 'vip')} > 0)", "{{vip}}")),
         graph("Dropped by worker", "pps", (rate("sluice_worker_packets_dropped_total", "instance", "worker"),
                                            "{{instance}} {{worker}}"))],
        [graph("Lost by the devices", "pps",
               (rate("sluice_port_rx_missed_total", "instance", "port"), "{{instance}} {{port}}")),
         graph("Answers", "ops", (rate("sluice_worker_answers_total", "kind"), "{{kind}}"))],
    ])


def documents():
    """{file name: text}"""
    return {f"{board['uid']}.json": json.dumps(board, indent=1) + "\n"
            for board in (fleet(), vip(), backend(), worker(), drops())}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in documents().items():
        (FOLDER / name).write_text(text, "utf-8")
