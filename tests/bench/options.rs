//! What the command line asks for.

use crate::data::Shape;
use crate::scenario::Scenario;
use crate::server::Kind;

/// Everything that can be chosen.
pub struct Options {
    /// What is measured, in order.
    pub scenarios: Vec<Scenario>,
    /// Who takes part; ratios refer to the first.
    pub servers: Vec<Kind>,
    /// How much is written by `ingest`.
    pub shape: Shape,
}

/// Reads the arguments; the error says what can be asked for.
pub fn read(arguments: &[String]) -> Result<Options, String> {
    let mut options = Options {
        scenarios: Vec::new(),
        servers: Kind::ALL.to_vec(),
        shape: Shape { series: 17_080, hours: 6.0, interval_s: 15, connections: 2 },
    };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let Some(name) = argument.strip_prefix("--") else {
            options.scenarios.push(named(argument, &Scenario::ALL, Scenario::name)?);
            continue;
        };
        let value = rest.next().ok_or_else(|| format!("--{name} needs a value"))?;
        let number = || value.parse::<f64>().map_err(|_| format!("--{name}: no number: {value}"));
        match name {
            "servers" => {
                let list = value.split(',').map(|word| named(word, &Kind::ALL, Kind::name));
                options.servers = list.collect::<Result<_, _>>()?;
            }
            "series" => options.shape.series = number()? as usize,
            "hours" => options.shape.hours = number()?,
            "interval" => options.shape.interval_s = number()? as i64,
            "connections" => options.shape.connections = number()? as usize,
            _ => return Err(format!("unknown option --{name}")),
        }
    }
    if options.scenarios.is_empty() {
        options.scenarios.push(Scenario::Ingest);
    }
    Ok(options)
}

fn named<T: Copy>(word: &str, all: &[T], name: fn(T) -> &'static str) -> Result<T, String> {
    let found = all.iter().copied().find(|one| name(*one).eq_ignore_ascii_case(word));
    found.ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|one| name(*one)).collect();
        format!("unknown: {word}; there are {}", names.join(", "))
    })
}
