//! Alert rules of fleets and of the operator: how they are managed, and tried on history.

pub mod back_tester;
pub mod back_tests;
pub(crate) mod removal;
pub mod rules;
