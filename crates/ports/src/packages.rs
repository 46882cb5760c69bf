//! Packages that admins make.

use std::future::Future;

use roadcast_domain::package::CustomPackage;

use crate::PortError;

/// The packages that were made beside the seed. They change, and are never removed: a subscription may name them.
pub trait CustomPackages: Send + Sync {
    /// Keeps a package; a conflict unless it is new and of version 1, or follows the version that is kept. What fleets may see is
    /// of another [`version`](crate::entitlements::Entitlements::version) from that moment on.
    fn put(&self, package: &CustomPackage) -> impl Future<Output = Result<(), PortError>> + Send;

    /// The package of that name.
    fn get(&self, name: &str) -> impl Future<Output = Result<Option<CustomPackage>, PortError>> + Send;

    /// All of them, by name.
    fn list(&self) -> impl Future<Output = Result<Vec<CustomPackage>, PortError>> + Send;
}
