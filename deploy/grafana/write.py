"""Turns the boards into Grafana's JSON, in the classic schema that Grafana 10 to 13 import, by its Foundation SDK."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from typing import Any

with warnings.catch_warnings():  # it prefers a schema that no stable Grafana imports
    warnings.simplefilter("ignore", DeprecationWarning)
    from grafana_foundation_sdk.builders import bargauge, dashboard, heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from deploy.grafana.boards import BOARDS
from deploy.grafana.panels import DOCS, Board, Panel, Query, anchor

_SOURCE = common.DataSourceRef(type_val="prometheus", uid="${datasource}")
_ALL = models.VariableOption(selected=True, text=["All"], value=["$__all"])
_FORMATS = {"table": PromQueryFormat.TABLE, "heatmap": PromQueryFormat.HEATMAP}
_TAGS = ["samenloop"]


def files() -> dict[str, str]:
    """Return the text of every dashboard by the name of its file."""
    return {f"{board.uid}.json": text(board) for board in BOARDS}


def text(board: Board) -> str:
    """Return the JSON of one dashboard."""
    return json.dumps(_dashboard(board).build(), cls=_Encoder, indent=1, sort_keys=True) + "\n"


class _Encoder(JSONEncoder):
    def default(self, obj: Any) -> Any:
        made = super().default(obj)
        if isinstance(obj, models.DashboardLink):
            del made["placement"]  # the SDK can only say "in the menu", where nobody looks
        return made


def _dashboard(board: Board) -> dashboard.Dashboard:
    made = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.says)
        .tags(_TAGS)
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .time(board.since, "now")
        .refresh("30s")
        .annotations([])
        .link(_others())
        .link(_docs("What every panel says", f"{DOCS}/reference/dashboards/#{board.name}"))
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .with_variable(_choice("job", "samenloop_build_info"))
    )
    for variable in board.variables:
        made.with_variable(_choice(variable.label, f'{variable.metric}{{job=~"$job"}}'))
    number = 0
    for row in board.rows:
        number += 1
        made.with_row(dashboard.Row(row.title).id(number))
        for panel in row.panels:
            number += 1
            made.with_panel(_panel(board, panel, number))
    return made


def _others() -> dashboard.DashboardLink:
    return (
        dashboard.DashboardLink("Samenloop")
        .type(models.DashboardLinkType.DASHBOARDS)
        .tags(_TAGS)
        .as_dropdown(True)
        .include_vars(True)
        .keep_time(True)
    )


def _docs(title: str, url: str) -> dashboard.DashboardLink:
    return dashboard.DashboardLink(title).type(models.DashboardLinkType.LINK).url(url).icon("doc").target_blank(True)


def _choice(label: str, series: str) -> dashboard.QueryVariable:
    query = f"label_values({series}, {label})"
    return (
        dashboard.QueryVariable(label)
        .label(label.capitalize())
        .datasource(_SOURCE)
        .query({"query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"})
        .definition(query)
        .multi(True)
        .include_all(True)
        .all_value(".+")
        .current(_ALL)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
    )


def _panel(board: Board, panel: Panel, number: int) -> Any:
    steps = [models.Threshold(value=value, color=color) for value, color in panel.steps]
    made = (
        _KINDS[panel.kind](panel)
        .id(number)
        .title(panel.title)
        .description(panel.says)
        .datasource(_SOURCE)
        .unit(panel.unit)
        .span(panel.width)
        .height(panel.height)
        .thresholds(dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps))
        .links([_docs("What this panel says", f"{DOCS}/reference/dashboards/#{anchor(board, panel)}")])
    )
    for index, query in enumerate(panel.queries):
        made.with_target(_target(panel, query, chr(ord("A") + index)))
    if panel.share:
        made.min(0).max(1)
    if panel.empty:
        made.no_value(panel.empty)
    if panel.words:
        said = {value: models.ValueMappingResult(text=word) for value, word in panel.words.items()}
        made.mappings([models.ValueMap(options=said)])
    return made


def _target(panel: Panel, query: Query, ref_id: str) -> prometheus.Dataquery:
    made = prometheus.Dataquery().ref_id(ref_id).datasource(_SOURCE).expr(query.expr)
    made.legend_format(query.legend or "__auto").format(_FORMATS.get(panel.kind, PromQueryFormat.TIME_SERIES))
    return made.instant() if panel.instant else made.range()


def _last() -> common_builders.ReduceDataOptions:
    return common_builders.ReduceDataOptions().calcs(["lastNotNull"]).values(False)


def _stat(panel: Panel) -> stat.Panel:
    return stat.Panel().reduce_options(_last()).graph_mode(common.BigValueGraphMode.NONE)


def _bargauge(panel: Panel) -> bargauge.Panel:
    made = bargauge.Panel().reduce_options(_last()).orientation(common.VizOrientation.HORIZONTAL)
    return made.display_mode(common.BarGaugeDisplayMode.BASIC).min(0)


def _table(panel: Panel) -> table.Panel:
    hide = models.DataTransformerConfig(
        id_val="organize", options={"excludeByName": dict.fromkeys(panel.hidden, True), "indexByName": {}}
    )
    return table.Panel().with_transformation(hide)


def _timeseries(panel: Panel) -> timeseries.Panel:
    made = timeseries.Panel().line_width(1).fill_opacity(8).show_points(common.VisibilityMode.NEVER).min(0)
    if len(panel.steps) > 1:  # else the limit is known to the alert alone
        made.thresholds_style(common_builders.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED))
    return made.legend(_legend()).tooltip(
        common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
    )


def _bars(panel: Panel) -> timeseries.Panel:
    stacking = common_builders.StackingConfig().mode(common.StackingMode.NORMAL).group("A")
    made = _timeseries(panel).draw_style(common.GraphDrawStyle.BARS).fill_opacity(80)
    return made.stacking(stacking)


def _heatmap(panel: Panel) -> heatmap.Panel:
    return heatmap.Panel().calculate(False).y_axis(heatmap.YAxisConfig().unit(panel.unit))


def _legend() -> common_builders.VizLegendOptions:
    made = common_builders.VizLegendOptions().show_legend(True).placement(common.LegendPlacement.BOTTOM)
    return made.display_mode(common.LegendDisplayMode.LIST)


_KINDS: dict[str, Callable[[Panel], Any]] = {
    "stat": _stat,
    "timeseries": _timeseries,
    "bars": _bars,
    "bargauge": _bargauge,
    "table": _table,
    "heatmap": _heatmap,
}
