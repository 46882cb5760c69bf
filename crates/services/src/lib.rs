//! The use cases: what Roadcast does, on ports.
//!
//! In the order of a sample's road: [`ingest`] takes uploads in, [`process`] archives, validates, publishes and stores
//! them, [`enrich`] cuts them to what each fleet may see, [`deliver`] hands them out of a fleet's feed, [`query`] answers
//! from the stores, [`arrivals`] tells a fleet what came in. Beside the road: [`vehicles`] keeps the register, [`schemas`] the
//! schemas of custom events, [`packages`] what subscriptions are made of, [`load`] takes in files of bulk data, [`onboard`]
//! takes in fleets and subscriptions, [`provision`] makes what they need, [`offboard`] removes it again, and [`receipts`] says
//! what a subscription brought. Before all of them stand [`quota`], how much a fleet
//! may ask, and [`repeat`], what was asked before.

pub mod arrivals;
pub mod cached;
pub mod deliver;
pub mod enrich;
mod error;
mod fleet_clients;
pub mod ingest;
pub mod load;
pub mod mapped;
pub mod offboard;
pub mod onboard;
mod pack;
pub mod packages;
pub mod process;
pub mod provision;
pub mod query;
pub mod quota;
pub mod receipts;
pub mod repeat;
mod room;
pub mod schemas;
mod stretch;
mod tail;
pub mod vehicles;

pub use error::{ServiceError, Wrong};
