//! Packages, which subscriptions consist of: built-in packages and custom packages that admins create.

use roadcast_domain::event::{CustomType, EventType};
use roadcast_domain::limits;
use roadcast_domain::package::{CustomPackage, InvalidPackageName, Package, PackageFault, PackageName, Packages};
use roadcast_ports::PortErrorKind;
use roadcast_ports::clock::Clock;
use roadcast_ports::packages::CustomPackages;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::schemas::Schemas;
use serde::Deserialize;

use crate::authz::Admin;
use crate::{InvalidField, ServiceError, VersionCondition};

/// Manages packages. The content of a package is evaluated at each read, so a change is a single write. It takes effect
/// within [`TTL_MS`](crate::cache::TTL_MS) wherever packages are cached, also for data that is already stored or queued.
pub struct PackageCatalogue<Ports: PortSet> {
    /// The custom packages.
    pub packages: Ports::CustomPackages,
    /// The schemas of custom event types.
    pub schemas: Ports::Schemas,
    /// The clock.
    pub clock: Ports::Clock,
}

/// The content of a custom package.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PackageRequest {
    /// Signals: a path, or a branch followed by `.*` for all signals below it.
    #[serde(default)]
    pub signals: Vec<String>,
    /// Event types that are returned entirely, without redaction.
    #[serde(default)]
    pub event_types: Vec<EventType>,
}

/// A package of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PackageRecord {
    /// A built-in package; it cannot be modified.
    BuiltIn(Package),
    /// A package that an admin created.
    Custom(CustomPackage),
}

impl PackageRecord {
    /// The package itself.
    pub fn package(&self) -> &Package {
        match self {
            Self::BuiltIn(package) => package,
            Self::Custom(custom) => &custom.package,
        }
    }

    /// The version; 0 for a built-in package.
    pub fn version(&self) -> u64 {
        match self {
            Self::BuiltIn(_) => 0,
            Self::Custom(custom) => custom.version,
        }
    }
}

impl<Ports: PortSet> PackageCatalogue<Ports> {
    /// Returns every package, by name. Every caller may list packages.
    pub async fn list(&self) -> Result<Vec<PackageRecord>, ServiceError> {
        let built_in = Packages::built_in();
        let mut custom = self.packages.list().await?;
        custom.retain(|custom| built_in.get(custom.package.name.as_str()).is_none());
        let mut all: Vec<PackageRecord> = built_in.iter().cloned().map(PackageRecord::BuiltIn).collect();
        all.extend(custom.into_iter().map(PackageRecord::Custom));
        all.sort_by(|a, b| a.package().name.cmp(&b.package().name));
        Ok(all)
    }

    /// Returns the package. Every caller may read packages.
    pub async fn get(&self, name: &str) -> Result<PackageRecord, ServiceError> {
        if let Some(built_in) = Packages::built_in().get(name) {
            return Ok(PackageRecord::BuiltIn(built_in.clone()));
        }
        let name: PackageName = name.parse().map_err(|_| ServiceError::NotFound)?;
        self.packages.get(&name).await?.map(PackageRecord::Custom).ok_or(ServiceError::NotFound)
    }

    /// Creates a package, or replaces the version that `condition` requires. Fails with `Stale` if the package exists and
    /// `condition` requires no version or another, with `NotFound` if it requires one and the package does not exist, and with
    /// `Conflict` if it is built-in. Pointers of `Invalid` refer to the request; `/name` refers to the name.
    pub async fn put(
        &self,
        _admin: &Admin,
        name: &str,
        request: PackageRequest,
        condition: &VersionCondition,
    ) -> Result<CustomPackage, ServiceError> {
        if Packages::built_in().get(name).is_some() {
            return Err(ServiceError::Conflict("built-in packages cannot be modified"));
        }
        let name: PackageName =
            name.parse().map_err(|error: InvalidPackageName| ServiceError::invalid(["name"], error.to_string()))?;
        let current = self.packages.get(&name).await?;
        match &current {
            None if condition.requires_existence() => return Err(ServiceError::NotFound),
            Some(current) if !condition.requires_existence() || !condition.allows(current.version) => {
                return Err(ServiceError::Stale);
            }
            _ => {}
        }
        let package = Package { name, signals: request.signals, event_types: request.event_types };
        self.validate(&package).await?;
        if current.is_none() && self.packages.list().await?.len() >= limits::CUSTOM_PACKAGES {
            let detail = format!("the limit of {} custom packages is reached", limits::CUSTOM_PACKAGES);
            return Err(ServiceError::invalid(["name"], detail));
        }
        let now = self.clock.now();
        let (version, created_at) =
            current.map_or((1, now), |current| (current.version.saturating_add(1), current.created_at));
        let package = CustomPackage { package, version, created_at, updated_at: now };
        match self.packages.put(&package).await {
            Ok(()) => Ok(package),
            Err(error) if error.kind() == PortErrorKind::Conflict => Err(ServiceError::Stale),
            Err(error) => Err(error.into()),
        }
    }

    /// Validates the package against the catalogue and the registered custom event types.
    async fn validate(&self, package: &Package) -> Result<(), ServiceError> {
        let names_custom = package.event_types.iter().any(|event_type| matches!(event_type, EventType::Custom(_)));
        let registered = if names_custom { self.schemas.latest().await? } else { Vec::new() };
        let is_registered = |custom: &CustomType| registered.iter().any(|schema| schema.event_type == *custom);
        let faults = package.faults(is_registered);
        if faults.is_empty() {
            return Ok(());
        }
        let invalid = |PackageFault { pointer, detail }| InvalidField::new(pointer, detail);
        Err(ServiceError::Invalid(faults.into_iter().map(invalid).collect()))
    }
}

#[cfg(test)]
mod tests;
