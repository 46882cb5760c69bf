//! Webhooks: endpoints of fleets, and deliveries of events to them.
//!
//! An [`Endpoint`] is a URL of a fleet with what it wants to receive. A [`Delivery`] is one event for one endpoint; it ends in
//! exactly one terminal [`DeliveryState`]. An [`Attempt`] is one HTTP request of a delivery, signed as [`signature`] describes and
//! sent only where [`TargetRules`] allow it.

pub mod address;
pub mod attempt;
pub mod delivery;
pub mod endpoint;
pub mod health;
pub mod interest;
pub mod redrive;
pub mod schedule;
pub mod signature;
pub mod target;
pub mod transition;
pub mod url;

pub use attempt::{Attempt, AttemptOutcome};
pub use delivery::{Delivery, DeliveryKey, DeliveryState, DropReason, FailureReason, PastAttempt, Payload};
pub use endpoint::{DeliveryOrder, DisabledReason, Endpoint, EndpointStatus, SealedSecret};
pub use health::{CircuitState, EndpointHealth};
pub use interest::WebhookInterest;
pub use redrive::{EndpointRedrive, EndpointRedriveRequest};
pub use schedule::RetrySchedule;
pub use signature::SigningSecret;
pub use target::{ForbiddenTarget, LocalSink, Target, TargetHost, TargetRules};
pub use url::EndpointUrl;

/// The CloudEvents `type` of a test event, which a fleet requests for an endpoint.
pub const TEST_TYPE: &str = "roadcast.webhook.test.v1";
/// The CloudEvents `type` of the notice that an endpoint was disabled. It is sent to the other endpoints of the fleet that want it.
pub const DISABLED_TYPE: &str = "roadcast.webhook.disabled.v1";
