"""The form of Grafana's dashboards, as the kind "dashboard" and the panels' own options document it for schema version
37, as far as ours use it. It is closed: a field that is not in it is misspelt, or of another version.

A form is a type, a tuple of forms of which one fits, a set of values, a list (of items of one form), a dictionary (an
object; fields with a "?" may be missing), or None."""

TEXT, BOOL, INT, NUMBER, ANYTHING = str, bool, int, float, object

SOURCE = {"type": {"prometheus"}, "uid": TEXT}
TARGET = {"refId": TEXT, "datasource": SOURCE, "expr": TEXT, "legendFormat": TEXT, "range": BOOL, "instant": BOOL,
          "format": {"time_series", "table", "heatmap"}}
COLOUR = {"mode": {"thresholds", "palette-classic", "palette-saturated", "continuous-GrYlRd", "fixed"},
          "fixedColor?": TEXT, "seriesBy?": {"min", "max", "last"}}
# The first step's value is null: from minus infinity.
THRESHOLDS = {"mode": {"absolute", "percentage"}, "steps": [{"color": TEXT, "value": (NUMBER, None)}]}
CUSTOM = {"drawStyle?": {"line", "bars", "points"}, "lineWidth?": INT, "fillOpacity?": INT,
          "showPoints?": {"auto", "never", "always"}, "spanNulls?": (BOOL, NUMBER),
          "stacking?": {"mode": {"none", "normal", "percent"}, "group": TEXT},
          "align?": {"auto", "left", "right", "center"}}
FIELD = {"unit?": TEXT, "decimals?": NUMBER, "min?": NUMBER, "max?": NUMBER, "color?": COLOUR,
         "thresholds?": THRESHOLDS, "mappings?": [ANYTHING], "noValue?": TEXT, "custom?": CUSTOM}
OPTIONS = {
    "timeseries": {"legend": {"displayMode": {"list", "table", "hidden"}, "placement": {"bottom", "right"},
                              "showLegend": BOOL, "calcs?": [TEXT]},
                   "tooltip": {"mode": {"single", "multi", "none"}, "sort": {"asc", "desc", "none"}}},
    "stat": {"reduceOptions": {"calcs": [TEXT], "fields": TEXT, "values": BOOL},
             "colorMode": {"none", "value", "background"}, "graphMode": {"none", "line", "area"},
             "orientation": {"auto", "vertical", "horizontal"},
             "textMode": {"auto", "value", "value_and_name", "name", "none"}},
    "table": {"showHeader": BOOL},
}


def panel(kind):
    return {"id": INT, "type": {kind}, "title": TEXT, "description": TEXT, "datasource": SOURCE, "targets": [TARGET],
            "gridPos": {"x": INT, "y": INT, "w": INT, "h": INT}, "options": OPTIONS[kind],
            "fieldConfig": {"defaults": FIELD,
                            "overrides": [{"matcher": {"id": TEXT, "options?": ANYTHING},
                                           "properties": [{"id": TEXT, "value?": ANYTHING}]}]},
            "transformations?": [{"id": TEXT, "options": ANYTHING}]}


VARIABLE = {"name": TEXT, "type": {"query", "datasource"}, "label": TEXT, "datasource?": SOURCE,
            "query": (TEXT, {"query": TEXT, "refId": TEXT}), "definition?": TEXT, "hide": {0, 1, 2},
            "includeAll": BOOL, "allValue?": (TEXT, None), "multi": BOOL, "refresh": {0, 1, 2}, "regex": TEXT,
            "sort?": {0, 1, 2, 3, 4, 5, 6}, "current": ANYTHING, "options": [ANYTHING]}
LINK = {"type": {"link", "dashboards"}, "title": TEXT, "tags": [TEXT], "asDropdown": BOOL, "includeVars": BOOL,
        "keepTime": BOOL, "targetBlank": BOOL, "icon": TEXT, "tooltip": TEXT, "url": TEXT}
ANNOTATION = {"name": TEXT, "datasource": SOURCE, "enable": BOOL, "hide": BOOL, "iconColor": TEXT,
              "titleFormat?": TEXT, "expr": TEXT}
# An id is the importing Grafana's to give.
DASHBOARD = {"id": None, "uid": TEXT, "title": TEXT, "description": TEXT, "tags": [TEXT], "timezone": TEXT,
             "editable": BOOL, "graphTooltip": {0, 1, 2}, "schemaVersion": {37}, "version": INT, "refresh": TEXT,
             "time": {"from": TEXT, "to": TEXT}, "timepicker": {}, "fiscalYearStartMonth": INT, "liveNow": BOOL,
             "weekStart": TEXT, "links": [LINK], "annotations": {"list": [ANNOTATION]},
             "templating": {"list": [VARIABLE]}, "panels": [tuple(panel(kind) for kind in OPTIONS)]}


def problems(value, form, path="$"):
    """What does not fit, each with its place."""
    if form is None:
        return [] if value is None else [f"{path}: {value!r} is not null"]
    if isinstance(form, tuple):
        found = [problems(value, one, path) for one in form]
        # Of several forms the one that fits best says what is wrong.
        return min(found, key=len)
    if isinstance(form, set):
        fits = not isinstance(value, (list, dict)) and value in form
        return [] if fits else [f"{path}: {value!r} is none of {sorted(form)}"]
    if isinstance(form, list):
        if not isinstance(value, list):
            return [f"{path}: is not a list"]
        return [text for i, item in enumerate(value) for text in problems(item, form[0], f"{path}[{i}]")]
    if isinstance(form, dict):
        return _object_problems(value, form, path)
    if form is NUMBER:
        return [] if isinstance(value, (int, float)) and not isinstance(value, bool) else [f"{path}: no number"]
    if form is INT and isinstance(value, bool):
        return [f"{path}: is not of {form.__name__}"]
    return [] if isinstance(value, form) else [f"{path}: {value!r} is not of {form.__name__}"]


def _object_problems(value, form, path):
    if not isinstance(value, dict):
        return [f"{path}: is not an object"]
    fields = {name.rstrip("?"): inner for name, inner in form.items()}
    found = [f"{path}: has no {name}" for name in form if not name.endswith("?") and name not in value]
    for name, item in value.items():
        if name not in fields:
            found.append(f"{path}.{name}: is not known to Grafana")
        else:
            found += problems(item, fields[name], f"{path}.{name}")
    return found
