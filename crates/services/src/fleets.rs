//! Fleets: onboarding, clients, subscriptions and their state transitions, and the workflows that provision and offboard.

mod access;
mod app_clients;
mod clients;
pub mod offboarding;
mod onboarding;
pub mod provisioning;
pub mod receipts;
mod subscription_transitions;
mod subscriptions;

pub use onboarding::Onboarding;
pub use subscription_transitions::Transition;
pub use subscriptions::SubscriptionRequest;
