//! A dashboard as a compact description, and as Grafana's classic JSON, which Grafana 9 to 13 read.
//!
//! Place in the flow: `host`, `postgres` … describe → **`Dashboard::json`** → files.
//!
//! In expressions `{@}` and `{@, …}` stand for the matchers of the variables every dashboard has, so
//! that no panel forgets them.

use serde_json::{Value, json};

use super::provisioning::SOURCE_UID;

/// The oldest Grafana that is supported reads this version, newer ones raise it.
const SCHEMA_VERSION: u32 = 36;
/// Columns of Grafana's grid.
const GRID_COLUMNS: u32 = 24;

/// A dashboard.
#[derive(Debug, Clone, PartialEq)]
pub struct Dashboard {
    /// Stable, also the file's name.
    pub uid: &'static str,
    /// What stands above it.
    pub title: &'static str,
    /// What it is about, as a tag.
    pub tag: &'static str,
    /// A metric that every instance has: where `job` and `instance` are read from.
    pub anchor: &'static str,
    /// Further variables: a label and the metric that has it.
    pub variables: &'static [(&'static str, &'static str)],
    /// From top to bottom.
    pub rows: Vec<Row>,
}

/// Panels under a title.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What they have in common.
    pub title: &'static str,
    /// From left to right.
    pub panels: Vec<Panel>,
}

/// How a panel shows its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The newest value as a large number.
    Stat,
    /// Lines over time.
    Graph,
    /// Lines over time, stacked.
    Stack,
    /// The newest values, a line each.
    Table,
}

/// One panel.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// What it shows.
    pub title: &'static str,
    /// What it means, for whoever sees it for the first time.
    pub description: &'static str,
    /// How.
    pub kind: Kind,
    /// Grafana's name of the unit.
    pub unit: &'static str,
    /// From where on a value is a warning and an alarm, when it is.
    pub thresholds: Option<(f64, f64)>,
    /// Expressions and legends.
    pub queries: Vec<(&'static str, &'static str)>,
}

/// A panel.
pub fn panel(
    kind: Kind,
    (title, description): (&'static str, &'static str),
    unit: &'static str,
    queries: &[(&'static str, &'static str)],
) -> Panel {
    Panel { title, description, kind, unit, thresholds: None, queries: queries.to_vec() }
}

impl Panel {
    /// The same with colours from two values on; the first larger than the second when low is bad.
    pub fn alarm(mut self, warning: f64, critical: f64) -> Panel {
        self.thresholds = Some((warning, critical));
        self
    }

    /// Columns and lines of the grid.
    fn size(&self) -> (u32, u32) {
        match self.kind {
            Kind::Stat => (4, 4),
            Kind::Graph | Kind::Stack => (12, 8),
            Kind::Table => (24, 8),
        }
    }
}

impl Dashboard {
    /// The expression that Grafana sends, variables still in it.
    pub fn expression(&self, query: &str) -> String {
        let mut matchers = "job=~\"$job\", instance=~\"$instance\"".to_owned();
        for (label, _) in self.variables {
            let sign = format!("@{label}");
            if query.contains(&sign) {
                matchers.push_str(&format!(", {label}=~\"${label}\""));
            }
        }
        let mut text = query.to_owned();
        for (label, _) in self.variables {
            text = text.replace(&format!("@{label}"), "@");
        }
        text.replace("{@", &format!("{{{matchers}"))
    }

    /// Grafana's classic JSON.
    pub fn json(&self) -> String {
        let mut panels = Vec::new();
        let (mut id, mut line) = (1_u32, 0_u32);
        for row in &self.rows {
            panels.push(json!({
                "id": id, "type": "row", "title": row.title, "collapsed": false, "panels": [],
                "gridPos": {"h": 1, "w": GRID_COLUMNS, "x": 0, "y": line},
            }));
            (id, line) = (id + 1, line + 1);
            let (mut column, mut height) = (0, 0);
            for panel in &row.panels {
                let (width, own_height) = panel.size();
                if column + width > GRID_COLUMNS {
                    (column, line) = (0, line + height);
                }
                height = own_height;
                let place = json!({"h": own_height, "w": width, "x": column, "y": line});
                panels.push(self.panel(panel, id, place));
                (id, column) = (id + 1, column + width);
            }
            line += height;
        }
        let dashboard = json!({
            "uid": self.uid,
            "title": self.title,
            "tags": ["belfry", self.tag],
            "schemaVersion": SCHEMA_VERSION,
            "version": 1,
            "editable": false,
            "graphTooltip": 1,
            "timezone": "browser",
            "refresh": "30s",
            "time": {"from": "now-6h", "to": "now"},
            "annotations": {"list": []},
            "links": [{
                "type": "dashboards", "title": "Belfry", "tags": ["belfry"], "asDropdown": true,
                "includeVars": false, "keepTime": true,
            }],
            "templating": {"list": self.templates()},
            "panels": panels,
        });
        let mut text = serde_json::to_string_pretty(&dashboard).expect("texts become JSON");
        text.push('\n');
        text
    }

    fn panel(&self, panel: &Panel, id: u32, place: Value) -> Value {
        let is_instant = matches!(panel.kind, Kind::Stat | Kind::Table);
        let targets: Vec<Value> = panel
            .queries
            .iter()
            .enumerate()
            .map(|(index, (query, legend))| {
                let letter = char::from(b'A' + u8::try_from(index).unwrap_or(25).min(25));
                json!({
                    "refId": letter.to_string(), "datasource": source(),
                    "expr": self.expression(query), "legendFormat": legend,
                    "instant": is_instant, "range": !is_instant,
                    "format": if panel.kind == Kind::Table { "table" } else { "time_series" },
                })
            })
            .collect();
        let (kind, options, custom) = look(panel.kind);
        let mut shown = json!({
            "id": id, "type": kind, "title": panel.title, "description": panel.description,
            "datasource": source(), "gridPos": place, "targets": targets, "options": options,
            "fieldConfig": {
                "defaults": {
                    "unit": panel.unit, "thresholds": thresholds(panel.thresholds), "custom": custom,
                    "color": {"mode": if is_instant { "thresholds" } else { "palette-classic" }},
                },
                "overrides": [],
            },
        });
        if panel.kind == Kind::Table {
            shown["transformations"] = json!([
                {"id": "organize", "options": {"excludeByName": {"Time": true, "__name__": true}}},
            ]);
        }
        shown
    }

    fn templates(&self) -> Vec<Value> {
        let mut list = vec![json!({
            "name": "datasource", "label": "Data source", "type": "datasource",
            "query": "prometheus", "hide": 0, "refresh": 1, "regex": "", "multi": false,
            "includeAll": false, "options": [],
            "current": {"selected": true, "text": "Belfry", "value": SOURCE_UID},
        })];
        let job = format!("label_values({}, job)", self.anchor);
        let instance = format!("label_values({}{{job=~\"$job\"}}, instance)", self.anchor);
        list.push(variable("job", &job));
        list.push(variable("instance", &instance));
        for (label, metric) in self.variables {
            let matchers = "job=~\"$job\", instance=~\"$instance\"";
            list.push(variable(label, &format!("label_values({metric}{{{matchers}}}, {label})")));
        }
        list
    }
}

fn source() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

fn variable(name: &str, query: &str) -> Value {
    json!({
        "name": name, "label": name, "type": "query", "datasource": source(),
        "definition": query, "query": {"query": query, "refId": format!("variable-{name}")},
        "refresh": 2, "sort": 1, "multi": true, "includeAll": true, "allValue": ".+", "hide": 0,
        "regex": "", "options": [], "current": {"selected": true, "text": ["All"], "value": ["$__all"]},
    })
}

/// The panel's type, its options, and how lines are drawn.
fn look(kind: Kind) -> (&'static str, Value, Value) {
    match kind {
        Kind::Stat => (
            "stat",
            json!({
                "colorMode": "value", "graphMode": "none", "justifyMode": "auto",
                "orientation": "auto", "textMode": "auto",
                "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false},
            }),
            json!({}),
        ),
        Kind::Graph | Kind::Stack => {
            let stacking = if kind == Kind::Stack { "normal" } else { "none" };
            let fill = if kind == Kind::Stack { 40 } else { 10 };
            (
                "timeseries",
                json!({
                    "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": true},
                    "tooltip": {"mode": "multi", "sort": "desc"},
                }),
                json!({
                    "drawStyle": "line", "lineWidth": 1, "fillOpacity": fill, "showPoints": "never",
                    "spanNulls": false, "stacking": {"group": "A", "mode": stacking},
                }),
            )
        }
        Kind::Table => ("table", json!({"showHeader": true}), json!({"filterable": true})),
    }
}

fn thresholds(alarm: Option<(f64, f64)>) -> Value {
    let step = |color: &str, value: Option<f64>| json!({"color": color, "value": value});
    let steps = match alarm {
        None => vec![step("green", None)],
        Some((warning, critical)) if warning <= critical => {
            vec![step("green", None), step("orange", Some(warning)), step("red", Some(critical))]
        }
        Some((warning, critical)) => {
            vec![step("red", None), step("orange", Some(critical)), step("green", Some(warning))]
        }
    };
    json!({"mode": "absolute", "steps": steps})
}
