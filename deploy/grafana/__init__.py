"""The dashboards of operators: `boards` says what they show, `write` makes the JSON that Grafana imports."""
