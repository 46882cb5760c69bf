//! Models of AWS behaviour that the local endpoint does not reproduce, for tests: how an event source mapping of a
//! [Kinesis stream](event_source_mapping) or of a [queue](queue_mapping) invokes a function, and how Step Functions runs a
//! [state machine](state_machine).

pub mod event_source_mapping;
pub mod queue_mapping;
pub mod state_machine;
