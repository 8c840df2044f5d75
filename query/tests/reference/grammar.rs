//! Random expressions over the whole grammar.
//!
//! Place in the flow: `Choices` → **`Grammar`** → the text of a query over the metrics of `data`.
//!
//! Invariant: what it writes is accepted by the parser; whether it can be evaluated is another
//! matter. With nothing left to choose it writes the simplest selector.
//!
//! Left out: start timestamps (the files of `tests/data/promqltest` have them).

use crate::choices::Choices;

/// Windows and steps.
const LENGTHS: [&str; 9] = ["1m", "5m", "30s", "2m30s", "10m", "15s", "0x5a", "1h", "13s"];
const OFFSETS: [&str; 6] = ["30s", "1m", "-1m", "5m", "-17s", "(step() + 15)"];
const LABELS: [&str; 6] = ["job", "instance", "path", "le", "__name__", "nothing"];
const NUMBERS: [&str; 14] =
    ["1", "0", "2", "0.5", "-1", "10", "1e3", "NaN", "Inf", "-Inf", "1m", "0x1F", "3.25", "1_000"];

/// How deep it may still go.
pub struct Grammar<'c, 'b> {
    pub choices: &'c mut Choices<'b>,
}

impl Grammar<'_, '_> {
    /// A query: mostly a vector, now and then a scalar; `with_ranges` also a bare range.
    pub fn query(&mut self, with_ranges: bool) -> String {
        let depth = self.choices.below(4);
        match self.choices.below(16) {
            15 => self.scalar(depth),
            14 if with_ranges => self.range(depth),
            13 if with_ranges => self.ordered(depth),
            _ => self.vector(depth),
        }
    }

    /// What gives an instant answer its order.
    fn ordered(&mut self, depth: usize) -> String {
        let vector = self.vector(depth);
        match self.choices.below(4) {
            0 => format!("{}({vector})", self.choices.pick(&["sort", "sort_desc"])),
            1 => {
                let name = self.choices.pick(&["sort_by_label", "sort_by_label_desc"]);
                let label = self.choices.pick(&["instance", "job", "path"]);
                format!("{name}({vector}, \"{label}\", \"instance\")")
            }
            _ => {
                let name = self.choices.pick(&["topk", "bottomk"]);
                let grouping = self.choices.pick(&["", " by (job)", " without (instance)"]);
                format!("{name}{grouping} ({}, {vector})", 1 + self.choices.below(5))
            }
        }
    }

    fn number(&mut self) -> &'static str {
        self.choices.pick(&NUMBERS)
    }

    fn length(&mut self) -> String {
        let length = self.choices.pick(&LENGTHS);
        match self.choices.below(12) {
            11 => format!("{length} + step()"),
            10 => format!("max_of({length}, 2 * step())"),
            9 => format!("{length} + min_of(range(), 1m)"),
            _ => length.to_owned(),
        }
    }

    /// `offset` and `@`.
    fn modifiers(&mut self) -> String {
        let offset = match self.choices.one_in(5) {
            true => format!(" offset {}", self.choices.pick(&OFFSETS)),
            false => String::new(),
        };
        let at = match self.choices.below(12) {
            11 => " @ start()".to_owned(),
            10 => " @ end()".to_owned(),
            9 => format!(" @ {}", self.choices.below(900)),
            _ => String::new(),
        };
        if self.choices.one_in(2) { format!("{offset}{at}") } else { format!("{at}{offset}") }
    }

    fn selector(&mut self) -> String {
        let metric = self.choices.pick(&crate::data::METRICS);
        match self.choices.below(9) {
            8 => "{__name__=~\"requests_total|temperature|size\"}".to_owned(),
            7 => format!("{{__name__=\"{metric}\", job!=\"a\"}}"),
            6 => format!("{metric}{{job=~\"a|\"}}"),
            5 => format!("{metric}{{instance!~\"0|1\"}}"),
            4 => format!("{metric}{{job=\"b\"}}"),
            3 => format!("{{\"{metric}\", \"job\"=\"a\"}}"),
            _ => metric.to_owned(),
        }
    }

    fn range(&mut self, depth: usize) -> String {
        if depth > 0 && self.choices.one_in(4) {
            let inner = self.vector(depth - 1);
            let (length, modifiers) = (self.choices.pick(&LENGTHS[..5]), self.modifiers());
            let step = self.choices.pick(&["1m", "30s", "", "17s", "max_of(step(), 20)"]);
            return format!("({inner})[{length}:{step}]{modifiers}");
        }
        let (selector, length, modifiers) = (self.selector(), self.length(), self.modifiers());
        format!("{selector}[{length}]{modifiers}")
    }

    fn scalar(&mut self, depth: usize) -> String {
        if depth == 0 {
            return match self.choices.below(8) {
                7 => "time()".to_owned(),
                6 => "step()".to_owned(),
                5 => "(end() - start() + range())".to_owned(),
                4 => "pi()".to_owned(),
                _ => self.number().to_owned(),
            };
        }
        match self.choices.below(5) {
            0 => self.number().to_owned(),
            1 => format!("scalar({})", self.vector(depth - 1)),
            2 => {
                let op = self.choices.pick(&["+", "-", "*", "/", "%", "^", "atan2", "== bool"]);
                format!("({} {op} {})", self.scalar(depth - 1), self.scalar(depth - 1))
            }
            3 => format!("-{}", self.scalar(depth - 1)),
            _ => {
                let name = self.choices.pick(&["max_of", "min_of"]);
                format!("{name}({}, {})", self.scalar(depth - 1), self.scalar(depth - 1))
            }
        }
    }

    fn vector(&mut self, depth: usize) -> String {
        if depth == 0 {
            return match self.choices.below(6) {
                5 => self.range_call(0),
                _ => {
                    let (selector, modifiers) = (self.selector(), self.modifiers());
                    let extension = if self.choices.one_in(24) { " smoothed" } else { "" };
                    format!("{selector}{extension}{modifiers}")
                }
            };
        }
        let depth = depth - 1;
        match self.choices.below(15) {
            14 => self.info(),
            0..=2 => self.range_call(depth),
            3..=5 => self.aggregate(depth),
            6..=8 => self.binary(depth),
            9 => self.set(depth),
            10 => self.call(depth),
            11 => self.labels(depth),
            12 => self.of_histogram(depth),
            _ => format!("-{}", self.vector(depth)),
        }
    }

    fn range_call(&mut self, depth: usize) -> String {
        const NAMES: [&str; 24] = [
            "rate",
            "increase",
            "delta",
            "irate",
            "idelta",
            "changes",
            "resets",
            "deriv",
            "sum_over_time",
            "avg_over_time",
            "min_over_time",
            "max_over_time",
            "count_over_time",
            "present_over_time",
            "last_over_time",
            "first_over_time",
            "stddev_over_time",
            "stdvar_over_time",
            "mad_over_time",
            "ts_of_first_over_time",
            "ts_of_last_over_time",
            "ts_of_min_over_time",
            "ts_of_max_over_time",
            "absent_over_time",
        ];
        match self.choices.below(10) {
            9 => {
                let phi = self.choices.pick(&["0.5", "0.9", "0", "1", "NaN", "-1", "2", "0.333"]);
                format!("quantile_over_time({phi}, {})", self.range(depth))
            }
            8 => {
                let range = self.range(depth);
                format!("predict_linear({range}, {})", self.choices.pick(&["60", "-30", "1h", "0"]))
            }
            7 => {
                let range = self.range(depth);
                let factor = self.choices.pick(&["0.5", "0.01", "0.9", "0.3", "1"]);
                format!("double_exponential_smoothing({range}, {factor}, 0.3)")
            }
            6 => {
                let name = self.choices.pick(&["rate", "increase", "delta", "changes", "resets"]);
                let of = self.choices.below(3);
                let word = if of == 0 && name != "changes" && name != "resets" {
                    "smoothed"
                } else {
                    "anchored"
                };
                let (selector, length) = (self.selector(), self.length());
                format!("{name}({selector}[{length}] {word}{})", self.modifiers())
            }
            _ => format!("{}({})", self.choices.pick(&NAMES), self.range(depth)),
        }
    }

    fn label_list(&mut self) -> String {
        let count = self.choices.below(3);
        let labels: Vec<&str> = (0..count).map(|_| self.choices.pick(&LABELS)).collect();
        labels.join(", ")
    }

    fn aggregate(&mut self, depth: usize) -> String {
        const NAMES: [&str; 8] = ["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"];
        let grouping = match self.choices.below(4) {
            0 => String::new(),
            1 => format!(" without ({})", self.label_list()),
            _ => format!(" by ({})", self.label_list()),
        };
        match self.choices.below(12) {
            11 => {
                let (name, count) =
                    (self.choices.pick(&["topk", "bottomk"]), self.choices.below(4));
                format!("{name}{grouping} ({count}, {})", self.vector(depth))
            }
            10 if self.choices.one_in(2) => {
                let ratio = self.choices.pick(&["0.5", "-0.5", "0.3", "1", "0", "-1", "2", "NaN"]);
                format!("limit_ratio{grouping} ({ratio}, {})", self.vector(depth))
            }
            10 => {
                // Which series come first is only certain for those of a selector.
                let (count, selector) = (self.choices.below(4), self.selector());
                format!("limitk{grouping} ({count}, {selector})")
            }
            9 => {
                let phi = self.choices.pick(&["0.5", "0.9", "0", "1", "NaN", "-1", "2"]);
                format!("quantile{grouping} ({phi}, {})", self.vector(depth))
            }
            8 => {
                let label = self.choices.pick(&["value", "job", "instance"]);
                let bare = self.choices.pick(&["temperature", "requests_total", "size"]);
                format!("count_values{grouping} (\"{label}\", round({bare}))")
            }
            _ => {
                let name = self.choices.pick(&NAMES);
                format!("{name}{grouping} ({})", self.vector(depth))
            }
        }
    }

    fn matching(&mut self, is_set: bool) -> String {
        let labels = self.label_list();
        let mut text = match self.choices.below(4) {
            0 => return String::new(),
            1 => format!(" ignoring ({labels})"),
            _ => format!(" on ({labels})"),
        };
        if is_set {
            return text;
        }
        let listed: Vec<&str> = labels.split(", ").collect();
        let include = self.choices.pick(&["", "", "path"]);
        let include = if listed.contains(&include) { "" } else { include };
        match self.choices.below(4) {
            2 => text.push_str(&format!(" group_left ({include})")),
            3 => text.push_str(&format!(" group_right ({include})")),
            _ => {}
        }
        match self.choices.below(10) {
            7 => text.push_str(" fill (0)"),
            8 => text.push_str(" fill_left (23)"),
            9 => text.push_str(" fill_right (NaN)"),
            _ => {}
        }
        text
    }

    fn binary(&mut self, depth: usize) -> String {
        if self.choices.one_in(6) {
            let trim = self.choices.pick(&["</", ">/"]);
            let histograms = match self.choices.below(4) {
                0 => self.vector(depth),
                1 => "mixed".to_owned(),
                2 => format!("rate(latency[{}])", self.choices.pick(&LENGTHS)),
                _ => "latency".to_owned(),
            };
            let bounds = ["1", "0.7", "-1.5", "0", "3", "Inf", "-Inf", "0.0005", "1e3"];
            return format!("({histograms}) {trim} {}", self.choices.pick(&bounds));
        }
        const OPS: [&str; 18] = [
            "+", "-", "*", "/", "%", "^", "atan2", "==", "!=", "<", "<=", ">", ">=", "== bool",
            "!= bool", "< bool", "> bool", ">= bool",
        ];
        let op = self.choices.pick(&OPS);
        match self.choices.below(4) {
            0 => format!("({}) {op} {}", self.vector(depth), self.scalar(0)),
            1 => format!("{} {op} ({})", self.scalar(0), self.vector(depth)),
            _ => {
                let matching = self.matching(false);
                format!("({}) {op}{matching} ({})", self.vector(depth), self.vector(depth))
            }
        }
    }

    fn set(&mut self, depth: usize) -> String {
        let (op, matching) = (self.choices.pick(&["and", "or", "unless"]), self.matching(true));
        format!("({}) {op}{matching} ({})", self.vector(depth), self.vector(depth))
    }

    /// Of a base without modifiers: info series are looked at when its first selector is.
    fn info(&mut self) -> String {
        let base = match self.choices.below(3) {
            0 => self.selector(),
            1 => format!("rate({}[{}])", self.selector(), self.choices.pick(&LENGTHS)),
            _ => format!("sum by (job, instance) ({})", self.selector()),
        };
        let matchers = self.choices.pick(&[
            "",
            ", {version=~\".*\"}",
            ", {version=\"1\"}",
            ", {__name__=~\".+_info\"}",
            ", {__name__!=\"target_info\", version!=\"\"}",
            ", {__name__=\"build_info\", zone=~\"x|\"}",
        ]);
        format!("info({base}{matchers})")
    }

    fn call(&mut self, depth: usize) -> String {
        const NAMES: [&str; 42] = [
            "abs",
            "ceil",
            "floor",
            "sgn",
            "sqrt",
            "exp",
            "ln",
            "log2",
            "log10",
            "acos",
            "acosh",
            "asin",
            "asinh",
            "atan",
            "atanh",
            "cos",
            "cosh",
            "sin",
            "sinh",
            "tan",
            "tanh",
            "deg",
            "rad",
            "sort",
            "sort_desc",
            "timestamp",
            "absent",
            "round",
            "day_of_month",
            "day_of_week",
            "day_of_year",
            "days_in_month",
            "hour",
            "minute",
            "month",
            "year",
            "clamp_min",
            "clamp_max",
            "clamp",
            "vector",
            "sort_by_label",
            "start_timestamp",
        ];
        let name = self.choices.pick(&NAMES);
        if name == "vector" {
            return format!("vector({})", self.scalar(depth));
        }
        let vector = self.vector(depth);
        match name {
            "clamp_min" | "clamp_max" => format!("{name}({vector}, {})", self.number()),
            "clamp" => format!("clamp({vector}, {}, {})", self.number(), self.number()),
            "round" if self.choices.one_in(2) => format!("round({vector}, 0.25)"),
            "hour" if self.choices.one_in(3) => "hour()".to_owned(),
            "sort_by_label" => format!("sort_by_label({vector}, \"job\")"),
            _ => format!("{name}({vector})"),
        }
    }

    fn labels(&mut self, depth: usize) -> String {
        let vector = self.vector(depth);
        let target = self.choices.pick(&["new", "job", "__name__", "path"]);
        let source = self.choices.pick(&LABELS);
        if self.choices.one_in(3) {
            let other = self.choices.pick(&LABELS);
            return format!("label_join({vector}, \"{target}\", \"-\", \"{source}\", \"{other}\")");
        }
        let pattern = self.choices.pick(&["(.*)", "(.)(.*)", "a|b", "", ".+"]);
        let replacement = self.choices.pick(&["$1", "x", "", "${1}y$2", "$0"]);
        format!(
            "label_replace({vector}, \"{target}\", \"{replacement}\", \"{source}\", \"{pattern}\")"
        )
    }

    fn of_histogram(&mut self, depth: usize) -> String {
        let vector = match self.choices.below(5) {
            0 => "latency_bucket".to_owned(),
            1 => format!("rate(latency_bucket[{}])", self.choices.pick(&LENGTHS)),
            2 => "latency".to_owned(),
            3 => format!("rate(latency[{}])", self.choices.pick(&LENGTHS)),
            _ => self.vector(depth),
        };
        match self.choices.below(9) {
            8 => format!("histogram_quantiles({vector}, \"phi\", 0.9, 0, {})", self.scalar(0)),
            0..=2 => {
                let phi = self.choices.pick(&["0.5", "0.9", "0", "1", "NaN", "-1", "0.25"]);
                format!("histogram_quantile({phi}, {vector})")
            }
            3 => format!("histogram_fraction({}, {}, {vector})", self.number(), self.number()),
            4 => format!("histogram_count({vector})"),
            5 => format!("histogram_sum({vector})"),
            6 => format!("histogram_avg({vector})"),
            _ => format!("histogram_stddev({vector})"),
        }
    }
}
