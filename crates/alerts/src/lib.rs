//! Alert rules and their evaluation.
//!
//! A [`Rule`](rule::Rule) is data: a condition on what vehicles send, and what to do about it. A [`RuleSet`] contains the compiled
//! rules of one owner, a fleet or the operator, and finds those that concern a vehicle. [`VehicleRules::select`] reduces an event to
//! what they read out of what their owner may see, and the evaluation gets nothing else.
//!
//! There are two evaluations. Both have the same rules, the same state and the same order of samples, so that they agree:
//! - A [`Tracker`] evaluates the events of the stream, as they arrive. It returns the [`Alert`](roadcast_domain::alert::Alert)s to publish, and
//!   withdraws those that late data contradicts.
//! - A [`BackTest`] evaluates the events of the event log, in order.
//!
//! Nothing in this crate does I/O or reads a clock. The design is in `docs/decisions/0053-evaluation-of-alert-rules.md`, the JSON of
//! rules in the README of the crate.

mod back_test;
mod batch;
mod evaluate;
mod fence;
pub mod limits;
mod parse;
mod program;
mod quiet;
pub mod rule;
mod state;
mod tracker;
pub mod transition;
mod window;

pub use back_test::{BackTest, BackTestState};
pub use parse::Mistake;
pub use program::{RuleSet, RuleVersion, VehicleRules};
pub use tracker::{Buffers, Checkpoint, Tracker, Update};
