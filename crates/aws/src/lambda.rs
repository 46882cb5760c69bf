//! Lambda adapter: the functions and queues that redrives send dead letters to.

mod redrive_targets;

pub use redrive_targets::{AwsRedriveTargets, RedriveTargetNames};
