//! Authorization: proofs of what a caller may do.
//!
//! A use case takes a proof, such as [`Admin`] or [`Reader`], where it would otherwise take the caller. Only this module
//! creates proofs, from an authenticated [`Caller`], so code that omits the check does not compile. The workflows and the
//! imports of files have no caller and take no proof. See `docs/decisions/0026-authorization-proofs.md`; `docs/authorization.md`
//! lists who may call which operation.
//!
//! ```
//! use roadcast_domain::caller::Caller;
//! use roadcast_domain::ids::{ClientId, FleetId};
//! use roadcast_services::authz::{Admin, Proof as _};
//!
//! assert!(Admin::prove(&Caller::Admin(ClientId::new("operator"))).is_ok());
//! assert!(Admin::prove(&Caller::Fleet(FleetId::from_random_bits(1))).is_err());
//! ```
//!
//! A proof cannot be created in any other way:
//!
//! ```compile_fail
//! use roadcast_domain::ids::ClientId;
//! use roadcast_services::authz::Admin;
//!
//! let admin = Admin(ClientId::new("operator"));
//! ```
//!
//! A use case cannot be called with a caller that is not checked:
//!
//! ```compile_fail
//! use roadcast_domain::caller::Caller;
//! use roadcast_domain::plan::Plan;
//! use roadcast_ports::port_set::PortSet;
//! use roadcast_services::fleets::Onboarding;
//!
//! async fn create<Ports: PortSet>(onboarding: &Onboarding<Ports>, caller: &Caller) {
//!     let _ = onboarding.create_fleet(caller, "Fleet", Plan::Standard).await;
//! }
//! ```

mod groups;
mod roles;

use roadcast_domain::caller::{Caller, CallerId, Scope};

use crate::ServiceError;

pub use groups::{AnyClient, FleetManager, FleetReader, Manager, Reader, RuleManager, Sender};
pub use roles::{Admin, FleetOwner, IngestClient};

/// A proof that the caller of an operation may call it.
pub trait Proof: Sized + Send {
    /// The scopes of which a token needs one.
    const SCOPES: &'static [Scope];

    /// Returns the proof. Fails with `Forbidden` if the role of the caller never permits the operation.
    fn prove(caller: &Caller) -> Result<Self, ServiceError>;

    /// Returns the role and the id of the caller.
    fn caller_id(&self) -> CallerId;
}

#[cfg(test)]
mod tests;
