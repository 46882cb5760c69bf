//! Fleets: onboarding, clients, subscriptions and their state transitions, and the workflows that provision and offboard.

mod app_clients;
mod clients;
pub mod offboarding;
mod onboarding;
pub mod provisioning;
pub mod receipts;
mod subscriptions;
mod transitions;

pub use onboarding::Onboarding;
pub use subscriptions::SubscriptionRequest;
pub use transitions::Transition;
