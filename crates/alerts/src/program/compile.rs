//! Compiles rules.

use roadcast_signals::{Catalogue, Datatype, POSITION, SignalDef, Value};

use super::{CompiledRule, Input, Node, NodeTest, Reading, RuleVersion};
use crate::fence::Fence;
use crate::quiet::Quiet;
use crate::rule::{Condition, Equals, SPEED, Test};

#[derive(Default)]
struct Compiler {
    nodes: Vec<Node>,
    inputs: Vec<Input>,
}

impl CompiledRule {
    pub(super) fn new(version: RuleVersion) -> Self {
        let mut compiler = Compiler::default();
        compiler.condition(&version.rule.condition);
        let Compiler { nodes, inputs } = compiler;
        let reads_any_sample =
            nodes.iter().any(|node| matches!(&node.test, NodeTest::NoData { inputs, .. } if inputs.is_empty()));
        Self {
            reads_diagnostics: reads_any_sample
                || nodes.iter().any(|node| matches!(node.test, NodeTest::Dtc(_) | NodeTest::MilOn)),
            is_timed: nodes.iter().any(|node| matches!(node.test, NodeTest::NoData { .. })),
            reads_any_sample,
            cooldown_ms: ms(version.rule.cooldown_s),
            quiet: version.rule.schedule.as_ref().map(Quiet::new),
            version,
            nodes,
            inputs,
        }
    }
}

fn ms(seconds: u32) -> i64 {
    i64::from(seconds) * 1000
}

impl Compiler {
    /// Adds a condition and those that it consists of. Returns its index.
    fn condition(&mut self, condition: &Condition) -> usize {
        let test = match &condition.test {
            Test::Threshold(test) => {
                NodeTest::Threshold { input: self.input(test.signal, Reading::Number), bound: test.bound }
            }
            Test::Equals(test) => self.equals(test),
            Test::Rate(test) => NodeTest::Rate {
                input: self.input(test.signal, Reading::Number),
                bound: test.bound,
                unit_ms: test.per.ms(),
                window_ms: ms(test.window_s),
            },
            Test::HarshBraking(test) => self.harsh(-1.0, test.above_mps2),
            Test::HarshAcceleration(test) => self.harsh(1.0, test.above_mps2),
            Test::Dtc(test) => NodeTest::Dtc(test.clone()),
            Test::MilOn {} => NodeTest::MilOn,
            Test::Geofence(test) => {
                let [latitude, longitude] = POSITION.map(|path| self.number(path));
                NodeTest::Geofence { latitude, longitude, fence: Box::new(Fence::new(test)), event: test.event }
            }
            Test::NoData(test) => {
                let inputs = test.signals.iter().map(|signal| self.input(signal, Reading::Presence)).collect();
                NodeTest::NoData { inputs, after_ms: ms(test.after_s) }
            }
            Test::All(conditions) => NodeTest::All(self.conditions(conditions)),
            Test::Any(conditions) => NodeTest::Any(self.conditions(conditions)),
            Test::Not(condition) => NodeTest::Not(self.condition(condition)),
        };
        self.nodes.push(Node { test, for_ms: ms(condition.for_s) });
        self.nodes.len() - 1
    }

    fn conditions(&mut self, conditions: &[Condition]) -> Vec<usize> {
        conditions.iter().map(|condition| self.condition(condition)).collect()
    }

    fn equals(&mut self, test: &Equals) -> NodeTest {
        let (reading, number) = match (&test.value, test.signal.datatype) {
            (Value::Bool(value), _) => (Reading::Bool, f64::from(u8::from(*value))),
            (Value::Text(expected), Datatype::String) => (Reading::Text(expected.clone()), 1.0),
            (value, _) => (Reading::Number, value.as_number().unwrap_or(f64::NAN)),
        };
        NodeTest::Equals { input: self.input(test.signal, reading), number }
    }

    fn harsh(&mut self, sign: f64, limit_mps2: f64) -> NodeTest {
        NodeTest::Harsh { input: self.number(SPEED), sign, limit_mps2 }
    }

    /// Returns the index of the input that reads the numbers of a signal of the catalogue.
    fn number(&mut self, path: &str) -> usize {
        // A signal that the catalogue did not have would never be present. A test checks that it has them.
        Catalogue::get().by_path(path).map_or(usize::MAX, |signal| self.input(signal, Reading::Number))
    }

    fn input(&mut self, signal: &'static SignalDef, reading: Reading) -> usize {
        let input = Input { signal, reading };
        self.inputs.iter().position(|other| *other == input).unwrap_or_else(|| {
            self.inputs.push(input);
            self.inputs.len() - 1
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn catalogue_has_the_signals_that_conditions_read_by_name() {
        for path in POSITION.iter().chain(&[SPEED]) {
            assert!(Catalogue::get().by_path(path).is_some_and(|def| def.datatype.is_numeric()), "{path}");
        }
    }
}
