//! Models of AWS behaviour that the local endpoint does not reproduce, for tests: how a Kinesis
//! [event source mapping](event_source_mapping) invokes a function, and how Step Functions runs a
//! [state machine](state_machine).

pub mod event_source_mapping;
pub mod state_machine;
