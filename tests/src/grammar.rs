//! Random PromQL that Prometheus 2.42 and Belfry must answer alike, from a seed.
//!
//! Place in the flow: a seed → **`Grammar`** → queries over the metrics of node_exporter → both
//! servers (tests/it/compare.rs).
//!
//! Left out is what the versions are known to do differently: samples on the left edge of a window,
//! names that functions drop late rather than at once, ties in `topk`, functions and syntax newer
//! than 2.42. What subtracts nearly equal numbers is rounded, since the two add in different orders.
//!
//! Not here: the whole language against its definition (query/tests/reference).

/// Metrics with the labels that tell their series apart.
const GAUGES: [(&str, &[&str]); 6] = [
    ("node_load1", &[]),
    ("node_load15", &[]),
    ("node_memory_MemFree_bytes", &[]),
    ("node_memory_MemAvailable_bytes", &[]),
    ("node_filesystem_size_bytes", &["device", "mountpoint", "fstype"]),
    ("node_filesystem_avail_bytes", &["device", "mountpoint", "fstype"]),
];
const COUNTERS: [(&str, &[&str]); 4] = [
    ("node_cpu_seconds_total", &["cpu", "mode"]),
    ("node_context_switches_total", &[]),
    ("node_intr_total", &[]),
    ("node_forks_total", &[]),
];
/// Windows whose left edge no sample and no step of a subquery lies on.
const WINDOWS: [&str; 5] = ["10s", "20s", "30s", "15s", "25s"];
const INNER_WINDOWS: [&str; 3] = ["10s500ms", "20s500ms", "15s500ms"];

/// Writes queries.
pub struct Grammar {
    state: u64,
}

type Metric = (&'static str, &'static [&'static str]);

impl Grammar {
    /// The queries of a seed.
    pub fn new(seed: u64) -> Grammar {
        Grammar { state: seed }
    }

    fn below(&mut self, end: usize) -> usize {
        // splitmix64
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % end as u64) as usize
    }

    fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    fn metric(&mut self) -> Metric {
        if self.below(2) == 0 { self.pick(&GAUGES) } else { self.pick(&COUNTERS) }
    }

    fn matchers(&mut self, (name, _): Metric) -> String {
        let matcher = match name {
            "node_cpu_seconds_total" => {
                self.pick(&["mode=\"user\"", "mode!=\"idle\"", "mode=~\"idle|.*irq\"", "cpu=\"0\""])
            }
            _ => self.pick(&["job=\"node\"", "instance!=\"\"", "nothing=\"\"", "job=~\"n.*\""]),
        };
        if self.below(2) == 0 { String::new() } else { format!("{{{matcher}}}") }
    }

    fn offset(&mut self) -> &'static str {
        self.pick(&["", "", "", " offset 6s", " offset 10s"])
    }

    /// The next query.
    pub fn query(&mut self) -> String {
        let depth = 1 + self.below(2);
        self.vector(depth)
    }

    fn selector(&mut self, metric: Metric) -> String {
        format!("{}{}{}", metric.0, self.matchers(metric), self.offset())
    }

    /// A range function of one metric, which has the labels that the metric has.
    fn window(&mut self, metric: Metric) -> String {
        let (window, offset) = (self.pick(&WINDOWS), self.offset());
        let range = format!("{}{}[{window}]{offset}", metric.0, self.matchers(metric));
        let is_counter = metric.0.ends_with("_total");
        match self.below(6) {
            0..=2 if is_counter => {
                format!("{}({range})", self.pick(&["rate", "increase", "irate"]))
            }
            0 => format!("round({}({range}), 0.01)", self.pick(&["delta", "idelta", "deriv"])),
            1 => {
                let name = self.pick(&["stddev_over_time", "stdvar_over_time"]);
                format!("round({name}({range}), 0.01)")
            }
            2 => format!("round(predict_linear({range}, 60), 1)"),
            3 => format!("quantile_over_time({}, {range})", self.pick(&["0.5", "0.9", "0", "1"])),
            4 => {
                let inner = self.pick(&INNER_WINDOWS);
                let name = self.pick(&["max_over_time", "min_over_time", "last_over_time"]);
                format!("{name}(({})[{inner}:4s])", self.selector(metric))
            }
            _ => {
                let name = self.pick(&[
                    "avg_over_time",
                    "sum_over_time",
                    "min_over_time",
                    "max_over_time",
                    "count_over_time",
                    "last_over_time",
                    "present_over_time",
                    "changes",
                    "resets",
                ]);
                format!("{name}({range})")
            }
        }
    }

    fn of_metric(&mut self, metric: Metric) -> String {
        if self.below(2) == 0 { self.selector(metric) } else { self.window(metric) }
    }

    fn vector(&mut self, depth: usize) -> String {
        let metric = self.metric();
        if depth == 0 {
            return self.of_metric(metric);
        }
        match self.below(8) {
            0 | 1 => self.aggregate(metric),
            2 => self.function(depth - 1),
            3 => self.join(metric),
            4 => {
                let number = self.pick(&["2", "0.5", "-3", "1e3", "1024", "time()"]);
                format!(
                    "({}) {} {number}",
                    self.vector(depth - 1),
                    self.pick(&["+", "-", "*", "/", "%"])
                )
            }
            5 => {
                let (op, number) = (self.pick(&[">", "<=", ">= bool", "!= bool", "=="]), "0");
                format!("{} {op} {number}", self.selector(metric))
            }
            6 => {
                let (op, other) = (self.pick(&["and", "or", "unless"]), self.metric());
                let labels = self.pick(&["job", "job, instance", "instance, mode"]);
                format!("{} {op} on ({labels}) {}", self.selector(metric), self.selector(other))
            }
            _ => self.of_metric(metric),
        }
    }

    fn aggregate(&mut self, metric: Metric) -> String {
        let inner = self.of_metric(metric);
        let mut labels: Vec<&str> = vec!["job", "instance"];
        labels.extend(metric.1);
        let label = self.pick(&labels);
        let grouping = self.pick(&["", " by (LABEL)", " without (LABEL)", " by (job, LABEL)"]);
        let grouping = grouping.replace("LABEL", label);
        match self.below(8) {
            0 => format!("quantile{grouping} (0.5, {inner})"),
            1 => format!("count(topk{grouping} (2, {inner}))"),
            2 => format!("round(stddev{grouping} ({inner}), 0.01)"),
            3 => format!("count_values{grouping} (\"value\", floor({}))", self.selector(metric)),
            _ => {
                let name = self.pick(&["sum", "avg", "min", "max", "count", "group"]);
                format!("{name}{grouping} ({inner})")
            }
        }
    }

    fn function(&mut self, depth: usize) -> String {
        let inner = self.vector(depth);
        match self.below(6) {
            0 => format!("clamp({inner}, 0, 1e6)"),
            1 => format!("clamp_min({inner}, 1)"),
            2 => format!("timestamp({})", self.metric().0),
            3 => format!("label_replace({inner}, \"new\", \"$1x\", \"instance\", \"(.*):.*\")"),
            4 => format!("scalar({inner}) + vector(time())"),
            _ => {
                let name =
                    self.pick(&["abs", "ceil", "sqrt", "ln", "sgn", "absent", "hour", "exp"]);
                format!("{name}({inner})")
            }
        }
    }

    fn join(&mut self, metric: Metric) -> String {
        let op = self.pick(&["+", "-", "*", "/"]);
        match metric.1 {
            [] => {
                let other = self.pick(&[GAUGES[0], GAUGES[2], COUNTERS[1], COUNTERS[2]]);
                format!("{} {op} {}", self.of_metric(metric), self.of_metric(other))
            }
            _ if metric.0.starts_with("node_filesystem") => {
                let labels = "on (instance, device, mountpoint)";
                format!(
                    "{} {op} {labels} group_left node_filesystem_readonly",
                    self.of_metric(metric)
                )
            }
            _ => format!(
                "{} {op} ignoring (mode, cpu) group_left node_load1",
                self.of_metric(metric)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_determines_the_queries() {
        let queries = |seed: u64| {
            let mut grammar = Grammar::new(seed);
            (0..300).map(|_| grammar.query()).collect::<Vec<String>>()
        };
        assert_eq!(queries(1), queries(1));
        let different: std::collections::BTreeSet<String> = queries(1).into_iter().collect();
        assert!(different.len() > 200, "{} different queries", different.len());
    }
}
