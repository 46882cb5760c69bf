//! Custom packages.

use roadcast_domain::package::{CustomPackage, PackageName};
use roadcast_ports::packages::CustomPackages;
use roadcast_ports::{PortError, PortErrorKind};

use super::Memory;

impl CustomPackages for Memory {
    async fn put(&self, package: &CustomPackage) -> Result<(), PortError> {
        let mut state = self.state();
        let name = &package.package.name;
        let before = state.custom_packages.get(name).map_or(0, |stored| stored.version);
        if before.checked_add(1) != Some(package.version) {
            return Err(PortError::new(PortErrorKind::Conflict, "storing a package"));
        }
        state.custom_packages.insert(name.clone(), package.clone());
        state.entitlements_version += 1;
        Ok(())
    }

    async fn get(&self, name: &PackageName) -> Result<Option<CustomPackage>, PortError> {
        Ok(self.state().custom_packages.get(name).cloned())
    }

    async fn list(&self) -> Result<Vec<CustomPackage>, PortError> {
        Ok(self.state().custom_packages.values().cloned().collect())
    }
}
