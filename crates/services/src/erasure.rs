//! Erasures of vehicles: requested by admins, and executed by a workflow.
//!
//! | file | purpose |
//! |---|---|
//! | requests | requests, shows and restarts erasures |
//! | run | the steps of the workflow |
//! | hide | the first step, after which the vehicles do not exist for callers |

mod hide;
mod requests;
mod run;

pub use requests::{ErasureRequest, ErasureRequests};
pub use run::{ErasureRun, RunStatus, Task, TaskKind};
