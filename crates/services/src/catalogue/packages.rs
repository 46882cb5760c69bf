//! The packages that subscriptions are made of: those of the first day, and those that admins make.

use roadcast_domain::caller::Caller;
use roadcast_domain::event::{CustomType, EventType};
use roadcast_domain::limits;
use roadcast_domain::package::{CustomPackage, Package, PackageFault, Packages, check_name};
use roadcast_ports::PortErrorKind;
use roadcast_ports::clock::Clock;
use roadcast_ports::packages::CustomPackages;
use roadcast_ports::schemas::Schemas;
use serde::Deserialize;

use crate::{InvalidField, ServiceError};

/// Keeps packages. What a package holds is compared at each read, so a change is one write: wherever packages are remembered, it
/// holds within [`TTL_MS`](crate::cache::TTL_MS), for what lies in stores and queues too.
pub struct PackageCatalogue<P, S, K> {
    /// Where those are kept that admins made.
    pub packages: P,
    /// Which custom event types there are.
    pub schemas: S,
    /// The time.
    pub clock: K,
}

/// What an admin wants of a package.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PackageRequest {
    /// Signals: a path, or all below a branch where it ends with `.*`.
    #[serde(default)]
    pub signals: Vec<String>,
    /// Event types that are handed out whole.
    #[serde(default)]
    pub event_types: Vec<EventType>,
}

/// A package that there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PackageRecord {
    /// One of the first day: it is fixed.
    BuiltIn(Package),
    /// One that an admin made.
    Custom(CustomPackage),
}

impl PackageRecord {
    /// What it grants.
    pub fn package(&self) -> &Package {
        match self {
            Self::BuiltIn(package) => package,
            Self::Custom(custom) => &custom.package,
        }
    }

    /// Its version: 0 for one of the first day.
    pub fn version(&self) -> u64 {
        match self {
            Self::BuiltIn(_) => 0,
            Self::Custom(custom) => custom.version,
        }
    }
}

impl<P: CustomPackages, S: Schemas, K: Clock> PackageCatalogue<P, S, K> {
    /// Every package, by name. They are the same for everybody.
    pub async fn list(&self, _caller: &Caller) -> Result<Vec<PackageRecord>, ServiceError> {
        let built_in = Packages::built_in();
        let mut custom = self.packages.list().await?;
        custom.retain(|custom| built_in.get(&custom.package.name).is_none());
        let mut all: Vec<PackageRecord> = built_in.iter().cloned().map(PackageRecord::BuiltIn).collect();
        all.extend(custom.into_iter().map(PackageRecord::Custom));
        all.sort_by(|a, b| a.package().name.cmp(&b.package().name));
        Ok(all)
    }

    /// The package of that name.
    pub async fn get(&self, _caller: &Caller, name: &str) -> Result<PackageRecord, ServiceError> {
        if let Some(built_in) = Packages::built_in().get(name) {
            return Ok(PackageRecord::BuiltIn(built_in.clone()));
        }
        check_name(name).map_err(|_| ServiceError::NotFound)?;
        self.packages.get(name).await?.map(PackageRecord::Custom).ok_or(ServiceError::NotFound)
    }

    /// Makes a package, or replaces its version `replaced`. `Stale` where there is one and no version or another one is named.
    /// Pointers in what is wrong go into the request; a name is `/name`.
    pub async fn put(
        &self,
        caller: &Caller,
        name: &str,
        wanted: PackageRequest,
        replaced: Option<u64>,
    ) -> Result<CustomPackage, ServiceError> {
        admin(caller)?;
        if Packages::built_in().get(name).is_some() {
            return Err(ServiceError::Conflict("it is a package of the first day, and those are fixed"));
        }
        check_name(name).map_err(|error| ServiceError::invalid("/name", error.to_string()))?;
        let kept = self.packages.get(name).await?;
        match (&kept, replaced) {
            (None, None) => {}
            (Some(kept), Some(version)) if kept.version == version => {}
            (Some(_), _) => return Err(ServiceError::Stale),
            (None, Some(_)) => return Err(ServiceError::NotFound),
        }
        let package = Package { name: name.to_owned(), signals: wanted.signals, event_types: wanted.event_types };
        self.check(&package).await?;
        if kept.is_none() && self.packages.list().await?.len() >= limits::CUSTOM_PACKAGES {
            let detail = format!("there are {} packages of admins' making, and no more may be", limits::CUSTOM_PACKAGES);
            return Err(ServiceError::invalid("/name", detail));
        }
        let now = self.clock.now();
        let (version, created_at) = kept.map_or((1, now), |kept| (kept.version.saturating_add(1), kept.created_at));
        let package = CustomPackage { package, version, created_at, updated_at: now };
        match self.packages.put(&package).await {
            Ok(()) => Ok(package),
            Err(error) if error.kind() == PortErrorKind::Conflict => Err(ServiceError::Stale),
            Err(error) => Err(error.into()),
        }
    }

    async fn check(&self, package: &Package) -> Result<(), ServiceError> {
        let names_custom = package.event_types.iter().any(|event_type| matches!(event_type, EventType::Custom(_)));
        let registered = if names_custom { self.schemas.latest().await? } else { Vec::new() };
        let is_registered = |custom: &CustomType| registered.iter().any(|schema| schema.event_type == *custom);
        let faults = package.faults(is_registered);
        if faults.is_empty() {
            return Ok(());
        }
        let wrong = |PackageFault { pointer, detail }| InvalidField::new(pointer, detail);
        Err(ServiceError::Invalid(faults.into_iter().map(wrong).collect()))
    }
}

fn admin(caller: &Caller) -> Result<(), ServiceError> {
    match caller {
        Caller::Admin(_) => Ok(()),
        Caller::Fleet(_) | Caller::Ingest(_) => Err(ServiceError::Forbidden("only admins keep packages")),
    }
}

#[cfg(test)]
mod tests;
