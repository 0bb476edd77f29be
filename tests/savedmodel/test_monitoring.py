"""Prometheus' rules and Grafana's dashboard: every expression parses, and asks for metrics that the server has."""

import json
import re
import shutil
import subprocess
from itertools import combinations
from pathlib import Path

import promql_parser
import pytest
import yaml

TESTS = Path(__file__).parent
FOLDER = TESTS.parents[1] / "savedmodel"
MONITORING = FOLDER / "monitoring"
TARGET = {"job", "instance"}
# TensorFlow Serving's sources: util.cc, saved_model_warmup_util.cc, batching_session.cc; and TensorFlow's loader.cc.
METRICS = {
    ":tensorflow:serving:request_count": {"model_name", "status"},
    ":tensorflow:serving:request_latency": {"model_name", "API", "entrypoint"},
    ":tensorflow:serving:runtime_latency": {"model_name", "API", "runtime"},
    ":tensorflow:serving:model_warmup_latency": {"model_path", "status"},
    ":tensorflow:serving:batching_session:queuing_latency": {"thread_pool_name"},
    ":tensorflow:cc:saved_model:load_attempt_count": {"model_path", "status"},
    "up": set(),
    "kube_cronjob_status_last_successful_time": {"namespace", "cronjob"},  # of kube-state-metrics
}
HISTOGRAMS = {name for name in METRICS if name.endswith("_latency")}

GROUPS = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"]
RULES = [rule for group in GROUPS for rule in group["rules"]]
ALERTS = [rule for rule in RULES if "alert" in rule]
RECORDED = {rule["record"]: rule["expr"] for rule in RULES if "record" in rule}
DASHBOARD = json.loads((MONITORING / "dashboard.json").read_text())


def selectors(node):
    """All selectors of a parsed expression, and the labels of all its aggregations and matchings."""
    kind = type(node).__name__
    if kind == "VectorSelector":
        return [node], set()
    if kind == "MatrixSelector":
        return [node.vector_selector], set()
    inner, labels = [], set()
    if kind == "Call":
        inner = list(node.args)
    elif kind == "BinaryExpr":
        inner = [node.lhs, node.rhs]
    elif kind in ("AggregateExpr", "ParenExpr", "UnaryExpr", "SubqueryExpr"):
        inner = [node.expr]
    if kind == "AggregateExpr" and node.modifier is not None:
        labels |= set(node.modifier.labels)
    found = []
    for child in inner:
        more, more_labels = selectors(child)
        found += more
        labels |= more_labels
    return found, labels


def check(expression):
    """Parses an expression, and holds its metrics and labels against the server's."""
    found, aggregated = selectors(promql_parser.parse(expression))
    assert found
    known = set(TARGET)
    for selector in found:
        base = re.sub(r"_(bucket|sum|count)$", "", selector.name)
        name = base if base in HISTOGRAMS else selector.name
        if name in RECORDED:
            known |= {"model_name"}
            continue
        assert (name in HISTOGRAMS) == (name != selector.name), f"{selector.name}: a histogram has parts, others none"
        own = METRICS[name] | TARGET | ({"le"} if name in HISTOGRAMS else set())
        assert {matcher.name for matcher in selector.matchers.matchers} <= own
        known |= own
    assert aggregated <= known


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_rules(rule):
    check(rule["expr"])
    if "alert" in rule:
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"]["summary"]


def test_what_the_alerts_are_for():
    assert {rule["alert"] for rule in ALERTS} >= {
        "ServerDown",
        "NoVersionLoaded",
        "VersionFailed",
        "ErrorRatio",
        "LatencyP99",
        "ModelStale",
        "RetrainingFailed",
    }
    readme = (FOLDER / "README.md").read_text()
    for rule in ALERTS:
        assert f"`{rule['alert']}`" in readme


def test_prometheus_asks_the_server_of_the_compose_file():
    config = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    (job,) = config["scrape_configs"]
    (target,) = job["static_configs"][0]["targets"]
    compose = yaml.safe_load((FOLDER / "docker-compose.yml").read_text())
    service, _, port = target.partition(":")
    assert f"--rest_api_port={port}" in (FOLDER / "config/serve.sh").read_text()
    assert service in compose["services"]
    assert f'path: "{job["metrics_path"]}"' in (FOLDER / "config/monitoring.config").read_text()
    assert set(config["rule_files"]) == {"alerts.yml"}
    jobs = {found for rule in RULES for found in re.findall(r'\bjob="([^"]+)"', rule["expr"])}
    assert jobs == {job["job_name"]}
    cronjob = yaml.safe_load((FOLDER / "kubernetes/retraining.yml").read_text())["metadata"]["name"]
    assert f'cronjob="{cronjob}"' in next(rule["expr"] for rule in RULES if rule.get("alert") == "RetrainingFailed")


def test_the_dashboard():
    variables = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    metric, label = re.fullmatch(r"label_values\((\S+), (\w+)\)", variables["model"]["query"]["query"]).groups()
    assert label in METRICS[metric]
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    for panel in panels:
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        for target in panel["targets"]:
            expression = target["expr"].replace("$__rate_interval", "5m")
            assert set(re.findall(r"\$\{?(\w+)", expression)) <= set(variables)
            check(expression.replace("$model", "gdns"))
            unit = panel["fieldConfig"]["defaults"]["unit"]
            assert (unit == "µs") == ("_latency_bucket" in expression or "_latency_sum" in expression)
    for one, other in combinations([panel["gridPos"] for panel in panels], 2):
        apart = [
            one[edge] >= other[edge] + other[size] or other[edge] >= one[edge] + one[size]
            for edge, size in (("x", "w"), ("y", "h"))
        ]
        assert any(apart), "panels overlap"
    assert max(panel["gridPos"]["x"] + panel["gridPos"]["w"] for panel in panels) == 24
    (provider,) = yaml.safe_load((MONITORING / "grafana-dashboards.yml").read_text())["providers"]
    assert f"{provider['options']['path']}/dashboard.json" in (FOLDER / "docker-compose.yml").read_text()


@pytest.mark.parametrize("name", ["alerts.test.yml", "alerts_of_days.test.yml"])
def test_which_alerts_what_happens_raises(name):
    """By Prometheus itself; the expressions were tried so when they were written."""
    promtool = shutil.which("promtool")
    if not promtool:
        pytest.skip("promtool is not on PATH (Debian's package prometheus has it)")
    done = subprocess.run([promtool, "test", "rules", TESTS / name], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
