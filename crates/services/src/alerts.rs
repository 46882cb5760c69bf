//! Alert rules of fleets and of the operator: how they are managed, tried on history, and evaluated on the stream.

pub mod back_tester;
pub mod back_tests;
pub mod evaluator;
pub mod notifier;
pub(crate) mod removal;
pub mod rules;
