//! Names and numbers, side by side.

/// What one server reached.
pub struct Column {
    name: &'static str,
    rows: Vec<(String, f64)>,
}

impl Column {
    /// Nothing measured yet.
    pub fn new(name: &'static str) -> Column {
        Column { name, rows: Vec::new() }
    }

    /// Notes a number; NaN where the server can't do it.
    pub fn set(&mut self, row: impl Into<String>, value: f64) {
        self.rows.push((row.into(), value));
    }

    fn get(&self, row: &str) -> f64 {
        self.rows.iter().find(|(name, _)| name == row).map_or(f64::NAN, |(_, value)| *value)
    }
}

/// The geometric mean of the numbers that are there.
pub fn geometric_mean(values: &[f64]) -> f64 {
    let there: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    let logs: f64 = there.iter().map(|value| value.ln()).sum();
    (logs / there.len() as f64).exp()
}

/// Prints all columns, and the ratio of the last to the first where both have a number.
pub fn print(columns: &[Column]) {
    let (Some(first), Some(last)) = (columns.first(), columns.last()) else { return };
    let width = last.rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0).max(24);
    let names: String = columns.iter().map(|column| format!("{:>16}", column.name)).collect();
    println!("\n{:<width$}{names}   {} ÷ {}", "", last.name, first.name);
    let mut ratios = Vec::new();
    for (row, value) in &last.rows {
        let cells: String =
            columns.iter().map(|column| format!("{:>16}", text(column.get(row)))).collect();
        let ratio = value / first.get(row);
        ratios.push(ratio);
        println!("{row:<width$}{cells}   {}", text(ratio));
    }
}

fn text(value: f64) -> String {
    match value {
        value if value.is_nan() => "-".to_owned(),
        value if value.abs() >= 1000.0 => format!("{value:.0}"),
        value => format!("{value:.3}"),
    }
}
