//! Operators between two values.

use std::collections::{BTreeMap, BTreeSet};

use promql::ast::{Binary, BinaryOp, Cardinality, Matching};

use super::{Element, Labels, Moment, NAME, Outcome, Point, Value};

/// What came of two points.
enum Met {
    Point(Point),
    Holds(bool),
    Nothing,
}

/// A histogram without its ends is still the same metric.
fn is_trim(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::TrimUpper | BinaryOp::TrimLower)
}

fn compared(op: BinaryOp, a: f64, b: f64) -> bool {
    match op {
        BinaryOp::Equal => a == b,
        BinaryOp::NotEqual => a != b,
        BinaryOp::Less => a < b,
        BinaryOp::LessEqual => a <= b,
        BinaryOp::Greater => a > b,
        _ => a >= b,
    }
}

fn calculated(op: BinaryOp, a: f64, b: f64) -> f64 {
    match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        BinaryOp::Mod => a % b,
        BinaryOp::Pow => a.powf(b),
        _ => a.atan2(b),
    }
}

fn meet(op: BinaryOp, left: &Point, right: &Point) -> Met {
    let is_trim = is_trim(op);
    let histogram =
        |own: Option<super::Distribution>| own.map_or(Met::Nothing, |own| Met::Point(own.into()));
    match (left, right) {
        (Point::Histogram(own), Point::Number(at)) if is_trim => {
            histogram(Some(own.trimmed(*at, op == BinaryOp::TrimUpper)))
        }
        _ if is_trim => Met::Nothing,
        (Point::Number(a), Point::Number(b)) if op.is_comparison() => {
            Met::Holds(compared(op, *a, *b))
        }
        (Point::Number(a), Point::Number(b)) => Met::Point(Point::Number(calculated(op, *a, *b))),
        (Point::Number(factor), Point::Histogram(own))
        | (Point::Histogram(own), Point::Number(factor))
            if op == BinaryOp::Mul =>
        {
            histogram(Some(own.times(*factor)))
        }
        (Point::Histogram(own), Point::Number(by)) if op == BinaryOp::Div => {
            histogram(Some(own.over(*by)))
        }
        (Point::Histogram(a), Point::Histogram(b)) => match op {
            BinaryOp::Add => histogram(a.plus(b)),
            BinaryOp::Sub => histogram(a.minus(b)),
            BinaryOp::Equal => Met::Holds(a.same(b)),
            BinaryOp::NotEqual => Met::Holds(!a.same(b)),
            _ => Met::Nothing,
        },
        _ => Met::Nothing,
    }
}

impl Moment<'_> {
    pub fn binary(&self, binary: &Binary) -> Outcome<Value> {
        let op = binary.op;
        match (self.eval(&binary.left)?, self.eval(&binary.right)?) {
            (Value::Scalar(a), Value::Scalar(b)) if op.is_comparison() => {
                Ok(Value::Scalar(f64::from(u8::from(compared(op, a, b)))))
            }
            (Value::Scalar(a), Value::Scalar(b)) => Ok(Value::Scalar(calculated(op, a, b))),
            (Value::Vector(all), Value::Scalar(b)) => {
                let number = Point::Number(b);
                self.each(binary, all, |own| meet(op, own, &number)).map(Value::Vector)
            }
            (Value::Scalar(a), Value::Vector(all)) => {
                let number = Point::Number(a);
                self.each(binary, all, |own| meet(op, &number, own)).map(Value::Vector)
            }
            (Value::Vector(left), Value::Vector(right)) => {
                let matching = binary.matching.as_ref().ok_or("no matching")?;
                if op.is_set() {
                    return Ok(Value::Vector(set(op, matching, left, right)));
                }
                self.join(binary, matching, left, right).map(Value::Vector)
            }
            _ => Err("a text in an operator".to_owned()),
        }
    }

    /// A vector and a scalar.
    fn each(
        &self,
        binary: &Binary,
        all: Vec<Element>,
        met: impl Fn(&Point) -> Met,
    ) -> Outcome<Vec<Element>> {
        let is_filter = binary.op.is_comparison() && !binary.return_bool;
        let mut found = Vec::new();
        for own in all {
            let point = match met(&own.point) {
                Met::Point(point) => Some(point),
                Met::Holds(true) if is_filter => Some(own.point.clone()),
                Met::Holds(false) if is_filter => None,
                Met::Holds(holds) => Some(Point::Number(f64::from(u8::from(holds)))),
                Met::Nothing => None,
            };
            found.extend(point.map(|point| Element { point, ..own }));
        }
        if is_filter || is_trim(binary.op) { Ok(found) } else { self.nameless(found) }
    }

    /// Two vectors; a "one" side and a side that may be many.
    fn join(
        &self,
        binary: &Binary,
        matching: &Matching,
        left: Vec<Element>,
        right: Vec<Element>,
    ) -> Outcome<Vec<Element>> {
        let is_swapped = matching.cardinality == Cardinality::OneToMany;
        let (many, one) = if is_swapped { (right, left) } else { (left, right) };
        let fill_many = matching.fill_left.map(|own| own.value);
        let fill_one = matching.fill_right.map(|own| own.value);
        let nobody = |side: &[Element], fill: Option<f64>| side.is_empty() && fill.is_none();
        if nobody(&many, fill_many) || nobody(&one, fill_one) {
            return Ok(Vec::new());
        }
        let mut ones: BTreeMap<Labels, Element> = BTreeMap::new();
        for own in one {
            if ones.insert(signature(matching, &own.labels), own).is_some() {
                return Err("many-to-many matching not allowed".to_owned());
            }
        }
        let stand_in = |labels: &Labels, fill: f64| Element {
            labels: labels.clone(),
            drop_name: false,
            point: Point::Number(fill),
        };
        let mut joined =
            Joined { moment: self, binary, matching, met: BTreeSet::new(), found: Vec::new() };
        for own in &many {
            let signature = signature(matching, &own.labels);
            let filled = fill_one.map(|fill| stand_in(&signature, fill));
            if let Some(partner) = ones.get(&signature).or(filled.as_ref()) {
                joined.meet(&signature, own, partner)?;
            }
        }
        if let Some(fill) = fill_many {
            let is_met: BTreeSet<Labels> =
                many.iter().map(|own| signature(matching, &own.labels)).collect();
            for (signature, own) in ones.iter().filter(|(own, _)| !is_met.contains(*own)) {
                joined.meet(signature, &stand_in(signature, fill), own)?;
            }
        }
        super::unique(&joined.found)?;
        Ok(joined.found)
    }
}

/// The results of a join so far.
struct Joined<'a> {
    moment: &'a Moment<'a>,
    binary: &'a Binary,
    matching: &'a Matching,
    /// Which results a match group has: each at most once.
    met: BTreeSet<(Labels, Option<Labels>)>,
    found: Vec<Element>,
}

impl Joined<'_> {
    fn meet(&mut self, signature: &Labels, many: &Element, one: &Element) -> Outcome<()> {
        let is_swapped = self.matching.cardinality == Cardinality::OneToMany;
        let (left, right) = if is_swapped { (one, many) } else { (many, one) };
        let labels = self.labels(many, one);
        let class = (self.matching.cardinality != Cardinality::OneToOne).then(|| labels.clone());
        let drop_name = many.drop_name || self.binary.return_bool && self.moment.world.is_delayed;
        let point = match meet(self.binary.op, &left.point, &right.point) {
            Met::Nothing => None,
            Met::Point(point) => Some(point),
            Met::Holds(holds) if self.binary.return_bool => {
                Some(Point::Number(f64::from(u8::from(holds))))
            }
            Met::Holds(holds) => holds.then(|| left.point.clone()),
        };
        if !self.met.insert((signature.clone(), class)) {
            return Err("multiple matches for labels".to_owned());
        }
        self.found.extend(point.map(|point| Element { labels, drop_name, point }));
        Ok(())
    }

    fn labels(&self, many: &Element, one: &Element) -> Labels {
        let mut labels = many.labels.clone();
        let is_dropped_now = self.binary.return_bool && !self.moment.world.is_delayed;
        let is_new = !self.binary.op.is_comparison() && !is_trim(self.binary.op);
        if is_new || is_dropped_now {
            super::drop_name(&mut labels);
        }
        if self.matching.cardinality == Cardinality::OneToOne {
            let is_listed = |name: &String| self.matching.labels.contains(name);
            labels.retain(|name, _| is_listed(name) == self.matching.on);
        }
        for name in &self.matching.include {
            match one.labels.get(name) {
                Some(value) => labels.insert(name.clone(), value.clone()),
                None => labels.remove(name),
            };
        }
        labels
    }
}

/// The labels that must agree.
fn signature(matching: &Matching, labels: &Labels) -> Labels {
    let mut signature = labels.clone();
    signature.retain(|name, _| {
        let is_listed = matching.labels.contains(name);
        if matching.on { is_listed } else { !is_listed && name != NAME }
    });
    signature
}

fn set(op: BinaryOp, matching: &Matching, left: Vec<Element>, right: Vec<Element>) -> Vec<Element> {
    let signatures = |side: &[Element]| -> BTreeSet<Labels> {
        side.iter().map(|own| signature(matching, &own.labels)).collect()
    };
    let is_in =
        |all: &BTreeSet<Labels>, own: &Element| all.contains(&signature(matching, &own.labels));
    match op {
        BinaryOp::And | BinaryOp::Unless => {
            let others = signatures(&right);
            let wanted = op == BinaryOp::And;
            left.into_iter().filter(|own| is_in(&others, own) == wanted).collect()
        }
        _ => {
            let taken = signatures(&left);
            let added = right.into_iter().filter(|own| !is_in(&taken, own));
            left.into_iter().chain(added).collect()
        }
    }
}
