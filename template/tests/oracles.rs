//! The same snippets through Belfry and through the tools of the field, when they are installed.
//!
//! `amtool template render` answers for Alertmanager's dialect, `promtool test rules` for
//! Prometheus'. On a machine without them the rows are still executed and must succeed.

use std::fmt::Write as _;
use std::process::Command;

use model::labels::Labels;
use model::time::TimestampMs;
use template::{AlertmanagerFunctions, Dialect, PrometheusFunctions, Templates, Value, World};

/// Rendered as text.
const AMTOOL_TEXT: &[&str] = &[
    "plain text",
    "{{ 1000000.0 }} {{ 123456789.0 }} {{ 123456.0 }} {{ 1e20 }} {{ 1e21 }} {{ 1e-5 }} {{ 3.14 }} {{ -0.5 }}",
    "{{ 1 }} {{ 0x1F }} {{ 'a' }} {{ true }} {{ `raw\\n` }} {{ \"q\\t\\u00e9\" }}",
    r#"{{ printf "%v %g %s|%.2f|%6.2f|%-6d|%06d|%x|%q|%t|%T|%e" 1e7 1e7 "x" 5 3.14159 42 42 255 "a\"b" true 1.0 1234.5 }}"#,
    r#"{{ printf "%d" 1.5 }} {{ printf "%d %d" 1 }} {{ printf "%d" 1 2 }} {{ printf "%!" }} {{ printf "%s" nil }}"#,
    r#"{{ printf "%5s|%-5s|%.2s|%5t|%c|%U|%o|%b|%X|%+d|% d|%#x|%%" "ab" "ab" "abc" true 65 65 8 5 255 7 7 255 }}"#,
    r#"{{ printf "%08.3f|%+.1e|%G|%6.1f%%|%[2]d %[1]d" 3.14159 12345.678 1e-7 99.5 }}"#,
    r#"{{ printf "%*d|%v|%s|%x" 5 42 "v" "s" "hex" }}"#,
    r#"{{ print 1 2 "a" "b" 3 }}|{{ println 1 "a" }}|{{ print nil }}|{{ print 1.5 2 }}"#,
    r#"{{ title "hello wORLD foo-bar it's a_b" }} {{ toUpper "aé" }} {{ toLower "AÉ" }}"#,
    r#"{{ "x" | printf "%s-%s" "y" }} {{ join "," (stringSlice "a" "b") }} {{ stringSlice "a" "b" }}"#,
    r#"{{ match "^a.c" "abcd" }} {{ reReplaceAll "(a)(b)" "$2$1" "abab" }} {{ reReplaceAll "x*" "-" "abc" }}"#,
    r#"{{ eq 1 2 3 1 }} {{ ne "a" "b" }} {{ lt 1.5 2.5 }} {{ le 2 2 }} {{ gt "b" "a" }} {{ ge 1 2 }}"#,
    r#"{{ and 1 0 }} {{ and 1 2 }} {{ or 0 "x" }} {{ or 0 "" }} {{ not 0 }} {{ not "a" }}"#,
    r#"{{ html "<a&b>+'\"" }} {{ js "it's <x> \"q\" a=b\n" }} {{ urlquery "a b&c" "é" }}"#,
    r#"{{ len "héllo" }} {{ slice "hello" 1 3 }} {{ slice "hello" 2 }} {{ index (stringSlice "a" "b") 1 }}"#,
    r#"{{ .CommonLabels.missing }}|{{ index .CommonLabels "missing" }}|{{ .CommonLabels.job }}"#,
    r#"{{ .CommonLabels }} {{ .GroupLabels }} {{ len .Alerts }} {{ .Receiver }} {{ .Status }}"#,
    r#"{{ range $i, $a := .Alerts }}{{ $i }}:{{ $a.Labels.instance }}/{{ .Status }} {{ else }}none{{ end }}"#,
    r#"{{ range .CommonLabels.SortedPairs }}{{ .Name }}={{ .Value }};{{ end }}{{ range $k, $v := .CommonLabels }}{{ $k }}:{{ $v }} {{ end }}"#,
    r#"{{ .CommonLabels.Names }} {{ .CommonLabels.Values }} {{ (.CommonLabels.Remove (stringSlice "job")).Names }}"#,
    r#"{{ .CommonLabels.SortedPairs.Names | join " " }} {{ .CommonLabels.SortedPairs.Values | join "," }}"#,
    r#"{{ range .Alerts.Firing }}F{{ .Fingerprint }}{{ end }}{{ range .Alerts.Resolved }}R{{ .Fingerprint }}{{ end }}"#,
    r#"{{ with .CommonLabels.job }}job {{ . }}{{ else }}no job{{ end }} {{ with .CommonLabels.none }}x{{ else }}none{{ end }}"#,
    r#"{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ $x := 3 }}{{ $x }}{{ end }}{{ $x }}"#,
    r#"{{ range $i, $v := stringSlice "a" "b" "c" }}{{ if eq $v "b" }}{{ continue }}{{ end }}{{ if eq $i 5 }}{{ break }}{{ end }}{{ $v }}{{ end }}"#,
    "{{ define \"t\" }}[{{ . }}]{{ end }}{{ template \"t\" .Status }}{{ template \"t\" 5 }}{{ block \"b\" 7 }}({{ . }}){{ end }}",
    "a  {{- 1 -}}  b {{ 2 -}} \n c {{- /* gone */ -}} d {{/* gone */}} e",
    r#"{{ (index .Alerts 0).StartsAt.Format "2006-01-02 15:04:05.000 MST Mon Jan _2 3:04PM -07:00" }}"#,
    r#"{{ (index .Alerts 0).StartsAt }}|{{ (index .Alerts 0).StartsAt.Unix }}|{{ ((index .Alerts 0).EndsAt.Sub (index .Alerts 0).StartsAt).Seconds }}"#,
    r#"{{ (index .Alerts 0).EndsAt.Sub (index .Alerts 0).StartsAt }} {{ (index .Alerts 0).StartsAt.Year }} {{ (index .Alerts 0).StartsAt.Month }} {{ (index .Alerts 0).StartsAt.Weekday }}"#,
    r#"{{ if and (eq .Status "firing") (gt (len .Alerts) 1) }}many{{ else if .Alerts }}one{{ else }}none{{ end }}"#,
    r#"{{ .Alerts.Firing | len }} {{ (len .Alerts) | printf "%03d" }} {{ .ExternalURL }}"#,
    r#"{{ template "__subject" . }} {{ .CommonAnnotations.summary | toUpper }}"#,
    r#"{{ $.Status }} {{ range .Alerts }}{{ $.Receiver }}{{ end }} {{ printf "%v %v" .GroupLabels (stringSlice "x") }}"#,
    r#"{{ printf "%q" (stringSlice "a" "b") }} {{ printf "%+v" .GroupLabels }} {{ printf "%s" .GroupLabels }} {{ printf "%d" "x" }}"#,
];

/// Rendered as HTML.
const AMTOOL_HTML: &[&str] = &[
    r#"<p>{{ "<b>&'\"+" }}</p>{{ "<i>ok</i>" | safeHtml }}<!-- gone -->"#,
    r#"<a href="{{ "javascript:alert(1)" }}" title={{ "a b" }}>x</a>"#,
    r#"<a href="http://x/?q={{ "a b&c/d" }}">{{ .ExternalURL }}</a>"#,
    r#"<a href="{{ "http://h/a b?x=1&y=2" }}">x</a><a href="{{ .ExternalURL }}/#/alerts?receiver={{ .Receiver | urlquery }}">y</a>"#,
    r#"<td class="{{ .Status }} {{ "\"><x" }}">{{ .CommonLabels.job }}</td>{{ .CommonLabels.none }}"#,
    r#"{{ range .Alerts }}<li>{{ range .Labels.SortedPairs }}{{ .Name }} = {{ .Value }}<br />{{ end }}</li>{{ end }}"#,
    r#"<div style="color: {{ "red" }}; width: {{ "expression(1)" }}">{{ len .Alerts }}</div>"#,
];

const DATA: &str = r#"{"receiver":"team","status":"firing","externalURL":"http://am.example",
"groupLabels":{"alertname":"Disk"},
"commonLabels":{"alertname":"Disk","job":"node"},
"commonAnnotations":{"summary":"disk full"},
"alerts":[
{"status":"firing","labels":{"alertname":"Disk","instance":"a:9100","job":"node"},"annotations":{"summary":"disk full"},
 "startsAt":"2023-03-05T04:05:06.5Z","endsAt":"2023-03-05T05:06:07Z","generatorURL":"http://p/g","fingerprint":"f1"},
{"status":"resolved","labels":{"alertname":"Disk","instance":"b:9100","job":"node"},"annotations":{"summary":"disk full"},
 "startsAt":"2023-03-05T04:05:06Z","endsAt":"2023-03-05T05:06:07Z","generatorURL":"http://p/g","fingerprint":"f2"}]}"#;

fn key_values(pairs: &[(&str, &str)]) -> Value {
    template::key_values(&Labels::from_pairs(pairs.iter().copied()))
}

/// A list of alerts with `.Firing` and `.Resolved`.
#[derive(Debug)]
struct Alerts(Vec<(&'static str, Value)>);

impl template::Object for Alerts {
    fn type_name(&self) -> &str {
        "template.Alerts"
    }
    fn member(&self, name: &str, _: &[Value]) -> Option<Result<Value, String>> {
        let wanted = name.to_ascii_lowercase();
        let of = self.0.iter().filter(|(status, _)| *status == wanted);
        matches!(name, "Firing" | "Resolved")
            .then(|| Ok(Value::list(of.map(|(_, alert)| alert.clone()).collect())))
    }
    fn underlying(&self) -> Option<Value> {
        Some(Value::list(self.0.iter().map(|(_, alert)| alert.clone()).collect()))
    }
}

fn alertmanager_data() -> Value {
    let alert = |status: &'static str, instance: &'static str, at_ms: i64, print: &'static str| {
        let labels = [("alertname", "Disk"), ("instance", instance), ("job", "node")];
        let fields = vec![
            ("Status", status.into()),
            ("Labels", key_values(&labels)),
            ("Annotations", key_values(&[("summary", "disk full")])),
            ("StartsAt", Value::time(TimestampMs(at_ms))),
            ("EndsAt", Value::time(TimestampMs(1_677_992_767_000))),
            ("GeneratorURL", "http://p/g".into()),
            ("Fingerprint", print.into()),
        ];
        (status, Value::record("template.Alert", fields))
    };
    let alerts = vec![
        alert("firing", "a:9100", 1_677_989_106_500, "f1"),
        alert("resolved", "b:9100", 1_677_989_106_000, "f2"),
    ];
    Value::record(
        "template.Data",
        vec![
            ("Receiver", "team".into()),
            ("Status", "firing".into()),
            ("Alerts", Value::Object(std::sync::Arc::new(Alerts(alerts)))),
            ("GroupLabels", key_values(&[("alertname", "Disk")])),
            ("CommonLabels", key_values(&[("alertname", "Disk"), ("job", "node")])),
            ("CommonAnnotations", key_values(&[("summary", "disk full")])),
            ("ExternalURL", "http://am.example".into()),
        ],
    )
}

fn amtool(folder: &std::path::Path, snippet: &str, kind: &str) -> Option<String> {
    let output = Command::new("amtool")
        .args(["template", "render", "--template.glob"])
        .arg(folder.join("set.tmpl"))
        .arg("--template.data")
        .arg(folder.join("data.json"))
        .arg(format!("--template.type={kind}"))
        .arg(format!("--template.text={snippet}"))
        .output()
        .ok()?;
    assert!(output.status.success(), "{snippet}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).expect("amtool writes UTF-8"))
}

const SET: &str = r#"{{ define "__subject" }}[{{ .Status | toUpper }}{{ if eq .Status "firing" }}:{{ .Alerts.Firing | len }}{{ end }}]{{ end }}"#;

#[test]
fn alertmanager_snippets_render_as_amtool_renders_them() {
    let folder = tempdir();
    std::fs::write(folder.join("set.tmpl"), SET).expect("write set");
    std::fs::write(folder.join("data.json"), DATA).expect("write data");
    let mut set = Templates::for_dialect(Dialect::Alertmanager);
    set.parse("set.tmpl", SET).expect("the set parses");
    let functions =
        AlertmanagerFunctions { now: TimestampMs(1_700_000_000_000), route_labels: Value::Null };
    let data = alertmanager_data();
    let mut wrong = String::new();
    let rows = AMTOOL_TEXT
        .iter()
        .map(|row| (row, "text"))
        .chain(AMTOOL_HTML.iter().map(|row| (row, "html")));
    for (snippet, kind) in rows {
        let ours = match kind {
            "text" => set.execute_once(snippet, &data, &functions),
            _ => set.execute_html_once(snippet, &data, &functions),
        };
        let ours = ours.unwrap_or_else(|error| format!("error: {error}"));
        assert!(!ours.starts_with("error:"), "{snippet}: {ours}");
        let Some(theirs) = amtool(&folder, snippet, kind) else { continue };
        if theirs.trim_end_matches('\n') != ours.trim_end_matches('\n') {
            let _ = writeln!(wrong, "{snippet}\n  amtool {theirs:?}\n  ours   {ours:?}");
        }
    }
    std::fs::remove_dir_all(&folder).expect("remove folder");
    assert!(wrong.is_empty(), "\n{wrong}");
}

fn tempdir() -> std::path::PathBuf {
    let name = format!("belfry-template-{}-{:?}", std::process::id(), std::thread::current().id());
    let folder = std::env::temp_dir().join(name.replace(['(', ')'], ""));
    std::fs::create_dir_all(&folder).expect("create folder");
    folder
}

/// Annotations of a rule whose alert has labels `host="web-1.example.com:9100"` and a value.
const PROMTOOL: &[&str] = &[
    "{{ $value }} {{ .Value }} {{ $labels.host }} {{ .Labels.host }} {{ $labels.missing }}|",
    "{{ humanize $value }} {{ humanize 0.00123 }} {{ humanize 1e6 }} {{ humanize 999 }} {{ humanize 0.0 }} {{ humanize \"12345\" }}",
    "{{ humanize1024 $value }} {{ humanize1024 1048576.0 }} {{ humanize1024 0.5 }} {{ humanize1024 1500.0 }}",
    "{{ humanizeDuration 0.0 }} {{ humanizeDuration 0.0123 }} {{ humanizeDuration 12.34567 }} {{ humanizeDuration 59.99 }} {{ humanizeDuration 60.0 }} {{ humanizeDuration 3723.0 }} {{ humanizeDuration 93784.0 }} {{ humanizeDuration -90.0 }}",
    "{{ humanizePercentage 0.1234567 }} {{ humanizePercentage 1.0 }} {{ humanizeTimestamp 1643116943.0 }} {{ humanizeTimestamp 1643116943.5 }}",
    "{{ printf \"%.2f\" $value }} {{ $value | printf \"%.0f\" }} {{ printf \"%g\" $value }} {{ printf \"%s\" $labels.host }}",
    "{{ title \"hello wORLD it's foo-bar a_b\" }} {{ toUpper \"a\" }} {{ toLower \"A\" }} {{ match \"^web\" $labels.host }}",
    "{{ reReplaceAll \"(.*)[.]example[.]com(.*)\" \"$1$2\" $labels.host }} {{ reReplaceAll \":.*\" \"\" $labels.host }}",
    "{{ stripPort \"a:1\" }} {{ stripPort \"a\" }} {{ stripPort \"[::1]:80\" }} {{ stripPort $labels.host }}",
    "{{ stripDomain $labels.host }} {{ stripDomain \"a.b\" }} {{ stripDomain \"127.0.0.1:80\" }} {{ stripDomain \"[::1]:9\" }}",
    "{{ graphLink \"up{a=\\\"b c\\\"}\" }} {{ tableLink \"rate(x[5m])\" }} {{ parseDuration \"1h30m\" }}",
    "{{ with query \"metric\" }}{{ . | first | value }} {{ . | first | label \"host\" }}{{ end }} {{ query \"nothing\" | len }}",
    "{{ range query \"metric\" | sortByLabel \"host\" }}{{ .Labels.host }}={{ .Value }};{{ end }}",
    "{{ range $i, $s := query \"metric\" }}{{ $i }}{{ $s | strvalue }}{{ end }}{{ $externalLabels }}",
    "{{ toTime 1643116943.25 }} {{ (toTime 1643116943.0).Year }} {{ safeHtml \"<b>\" }} {{ args 1 \"x\" }}",
    "{{ if gt $value 1000.0 }}high{{ else }}low{{ end }} {{ $value | humanize | toUpper }} {{ len $labels }}",
    "{{ define \"x\" }}<{{ .arg0 }}{{ .arg1 }}>{{ end }}{{ template \"x\" (args 1 \"b\") }}",
    "{{ 12345.678 | humanize }} {{ 1e30 | humanize }} {{ 1e-30 | humanize }} {{ -1234.5 | humanize }} {{ -2048.0 | humanize1024 }}",
    "{{ $labels }} {{ range $k, $v := $labels }}{{ $k }}:{{ $v }} {{ end }}",
    "{{ humanizeDuration 0.999 }} {{ humanizeDuration 1.0 }} {{ humanizeDuration -0.5 }} {{ humanizeDuration 86400.0 }} {{ humanizeDuration 1e-9 }}",
];

struct FakeWorld;

impl World for FakeWorld {
    fn query(&self, expression: &str) -> Result<Vec<(Labels, f64)>, String> {
        let name = ("__name__", "metric");
        Ok(match expression {
            "metric" => {
                vec![(Labels::from_pairs([name, ("host", "web-1.example.com:9100")]), 1234.5)]
            }
            _ => Vec::new(),
        })
    }
    fn now(&self) -> TimestampMs {
        TimestampMs(0)
    }
    fn external_url(&self) -> &str {
        ""
    }
}

const PROLOGUE: &str = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := .ExternalURL}}{{$value := .Value}}";

#[test]
fn prometheus_snippets_expand_as_promtool_expands_them() {
    // The labels that a template sees are those of the result, without the rule's own.
    let data = Value::record(
        "struct",
        vec![
            (
                "Labels",
                Value::text_map([("__name__", "metric"), ("host", "web-1.example.com:9100")]),
            ),
            ("ExternalLabels", Value::text_map::<&str, &str>([])),
            ("ExternalURL", "".into()),
            ("Value", Value::Float(1234.5)),
        ],
    );
    let mut rules = String::from(
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: metric\n    labels:\n      severity: page\n    annotations:\n",
    );
    let mut tests = String::from(
        "rule_files: [rules.yml]\ntests:\n- interval: 1m\n  input_series:\n  - series: 'metric{host=\"web-1.example.com:9100\"}'\n    values: '1234.5'\n  alert_rule_test:\n  - eval_time: 0m\n    alertname: A\n    exp_alerts:\n    - exp_labels:\n        host: 'web-1.example.com:9100'\n        severity: page\n      exp_annotations:\n",
    );
    for (index, snippet) in PROMTOOL.iter().enumerate() {
        let text = format!("{PROLOGUE}{snippet}");
        let mut set = Templates::for_dialect(Dialect::Prometheus);
        set.parse("a", &text).unwrap_or_else(|error| panic!("{snippet}: {error}"));
        let ours = set
            .execute("a", &data, &PrometheusFunctions(&FakeWorld))
            .unwrap_or_else(|error| panic!("{snippet}: {error}"));
        let quoted = |text: &str| text.replace('\'', "''");
        let _ = writeln!(rules, "      a{index:02}: '{}'", quoted(snippet));
        let _ = writeln!(tests, "        a{index:02}: '{}'", quoted(&ours));
    }
    let folder = tempdir();
    std::fs::write(folder.join("rules.yml"), rules).expect("write rules");
    std::fs::write(folder.join("tests.yml"), tests).expect("write tests");
    let output =
        Command::new("promtool").args(["test", "rules", "tests.yml"]).current_dir(&folder).output();
    let Ok(output) = output else { return };
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    std::fs::remove_dir_all(&folder).expect("remove folder");
    assert!(output.status.success(), "{}", said.replace(", ", ",\n"));
}
