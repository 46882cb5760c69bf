//! Fleets: onboarding, clients and subscriptions, and the workflows that provision and offboard.
//!
//! | file | purpose |
//! |---|---|
//! | onboarding | creates fleets and starts to offboard them |
//! | placement | chooses the delivery bus of a new fleet |
//! | clients | creates, lists, changes and deletes machine clients |
//! | credentials | rotates the credentials of machine clients |
//! | app_clients | app clients, created and deleted in the user pool and in the reference data |
//! | subscriptions | creates, lists and changes subscriptions, and retries their provisioning |
//! | subscription_changes | the ordered change of a subscription, which narrows grants first |
//! | vehicle_removal | removes erased vehicles from subscriptions |
//! | revocation | suspends, resumes and revokes subscriptions |
//! | provisioning | the steps of the workflow that makes a subscription active |
//! | feed_prober | sends probes to a feed, to prove that events pass |
//! | offboarding | the steps of the workflow that deletes a fleet's resources |
//! | receipts | delivery receipts: what a subscription delivered, per vehicle |

mod app_clients;
mod clients;
mod credentials;
mod feed_prober;
pub mod offboarding;
mod onboarding;
mod placement;
pub mod provisioning;
pub mod receipts;
mod revocation;
mod subscription_changes;
mod subscriptions;
mod vehicle_removal;

pub use clients::ClientUpdate;
pub use feed_prober::FeedProber;
pub use onboarding::Onboarding;
pub use placement::DeliveryBuses;
pub use revocation::Transition;
pub use subscriptions::SubscriptionRequest;
pub(crate) use vehicle_removal::remove_vehicles;
