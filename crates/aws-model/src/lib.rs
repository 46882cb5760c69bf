//! Models of AWS behaviour that the local endpoint does not reproduce, for tests: how an event source mapping of a
//! [Kinesis stream](event_source_mapping) or of a [queue](queue_mapping) invokes a function, and how Step Functions runs a
//! [state machine](state_machine). [`hops`] has the latencies of the services that an alert passes.

pub mod event_source_mapping;
pub mod hops;
pub mod queue_mapping;
pub mod state_machine;
