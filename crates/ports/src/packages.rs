//! Custom packages, which admins create.

use std::future::Future;

use roadcast_domain::package::{CustomPackage, PackageName};

use crate::PortError;

/// Storage of custom packages. They are never removed, because a subscription may refer to them.
pub trait CustomPackages: Send + Sync {
    /// Stores a package and changes [`Entitlements::version`](crate::entitlements::Entitlements::version). Fails with
    /// `Conflict` unless its version is 1 for a new package, or follows the stored version.
    fn put(&self, package: &CustomPackage) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Returns the custom package with this name; `None` if it does not exist.
    fn get(&self, name: &PackageName) -> impl Future<Output = Result<Option<CustomPackage>, PortError>> + Send;

    /// Returns all custom packages, ordered by name.
    fn list(&self) -> impl Future<Output = Result<Vec<CustomPackage>, PortError>> + Send;
}
