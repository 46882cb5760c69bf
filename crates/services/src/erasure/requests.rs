//! Requests of admins for erasures.

use std::collections::BTreeMap;

use roadcast_domain::Timestamp;
use roadcast_domain::erasure::{
    ErasedName, Erasure, ErasureProgress, ErasureState, ErasureStep, MAX_FORMER_NAMES, MAX_VEHICLES, Pass,
};
use roadcast_domain::ids::{ErasureId, VehicleId};
use roadcast_domain::json_pointer::JsonPointer;
use roadcast_domain::subject::{Subject, VehicleName};
use roadcast_ports::clock::{Clock, Randomness};
use roadcast_ports::erasure::Erasures;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::provisioning::{ProvisioningWorkflow, WorkflowRun};
use roadcast_ports::vehicles::Vehicles;
use serde::Deserialize;

use crate::authz::Admin;
use crate::{InvalidField, ServiceError};

/// Requests, shows and restarts erasures.
pub struct ErasureRequests<Ports: PortSet> {
    /// The records of erasures.
    pub erasures: Ports::Erasures,
    /// The registered vehicles.
    pub vehicles: Ports::Vehicles,
    /// The workflow that executes the steps.
    pub workflow: Ports::ProvisioningWorkflow,
    /// The clock.
    pub clock: Ports::Clock,
    /// The source of random ids.
    pub randomness: Ports::Randomness,
}

/// A request to erase vehicles.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ErasureRequest {
    /// The vehicles: all those of one person, for example.
    pub vehicles: Vec<VehicleId>,
    /// Names that a vehicle had before, as subjects of events. Roadcast forgets a name 25 hours after a vehicle released it, but
    /// archived records state it.
    #[serde(default)]
    pub former_names: Vec<String>,
}

impl<Ports: PortSet> ErasureRequests<Ports> {
    /// Starts to erase vehicles. Fails with `Invalid` if one of them is not registered.
    pub async fn request(&self, admin: &Admin, request: ErasureRequest) -> Result<Erasure, ServiceError> {
        let former_names = check(&request)?;
        let registered_at = self.registered_at(&request.vehicles).await?;
        let now = self.clock.now();
        let erasure = Erasure {
            erasure_id: ErasureId::from_random_bits(self.randomness.bits()),
            vehicles: request.vehicles,
            names: former_names
                .into_iter()
                .map(|name| ErasedName { name, since: registered_at, until: Timestamp::from_ms(i64::MAX) })
                .collect(),
            registered_at,
            hidden_at: None,
            second_pass_at: None,
            state: ErasureState::Running,
            progress: ErasureProgress::START,
            stores: BTreeMap::new(),
            attempt: 1,
            reason: None,
            requested_by: admin.client_id().clone(),
            requested_at: now,
            updated_at: now,
            completed_at: None,
            revision: 1,
        };
        self.erasures.create(&erasure).await?;
        self.start(&erasure).await?;
        Ok(erasure)
    }

    /// Returns an erasure.
    pub async fn get(&self, _admin: &Admin, erasure_id: &ErasureId) -> Result<Erasure, ServiceError> {
        self.erasures.get(erasure_id).await?.ok_or(ServiceError::NotFound)
    }

    /// Returns a page of the erasures, by id, after `after`.
    pub async fn list(&self, _admin: &Admin, after: Option<&ErasureId>, limit: usize) -> Result<Vec<Erasure>, ServiceError> {
        Ok(self.erasures.list(after, limit).await?)
    }

    /// Starts another run of an erasure. One that is not complete continues where it stopped. A complete one erases what was
    /// written about the vehicles since.
    pub async fn restart(&self, _admin: &Admin, erasure_id: &ErasureId) -> Result<Erasure, ServiceError> {
        let before = self.erasures.get(erasure_id).await?.ok_or(ServiceError::NotFound)?;
        let progress = match before.state {
            ErasureState::Complete => {
                ErasureProgress { pass: Pass::Second, step: ErasureStep::Subscriptions, position: None }
            }
            ErasureState::Running | ErasureState::Failed => before.progress.clone(),
        };
        let mut erasure = Erasure {
            progress,
            state: ErasureState::Running,
            attempt: before.attempt + 1,
            reason: None,
            updated_at: self.clock.now(),
            completed_at: None,
            ..before
        };
        let replaced = self.erasures.replace(&erasure).await;
        replaced.map_err(|error| ServiceError::or_conflict(error, "the erasure makes progress at this moment; retry"))?;
        erasure.revision += 1;
        self.start(&erasure).await?;
        Ok(erasure)
    }

    async fn start(&self, erasure: &Erasure) -> Result<(), ServiceError> {
        let run = WorkflowRun::Erase { erasure_id: erasure.erasure_id.clone(), attempt: erasure.attempt };
        Ok(self.workflow.start(&run).await?)
    }

    /// Returns when the first of the vehicles was registered.
    async fn registered_at(&self, vehicles: &[VehicleId]) -> Result<Timestamp, ServiceError> {
        let (mut earliest, mut faults) = (self.clock.now(), Vec::new());
        for (index, vid) in vehicles.iter().enumerate() {
            if let Some(vehicle) = self.vehicles.get(vid).await? {
                earliest = earliest.min(vehicle.created_at);
                continue;
            }
            let history = self.vehicles.history(&Subject::Vid(vid.clone())).await?;
            let detail = if history.is_some_and(|history| history.was_erased_at(earliest)) {
                "was erased; to erase what was written since, restart its erasure"
            } else {
                "is not a registered vehicle"
            };
            faults.push(InvalidField::new(JsonPointer::from(["vehicles"]).index(index), detail));
        }
        if faults.is_empty() { Ok(earliest) } else { Err(ServiceError::Invalid(faults)) }
    }
}

/// Returns the parsed former names. Fails with `Invalid` for each fault of the lists.
fn check(request: &ErasureRequest) -> Result<Vec<VehicleName>, ServiceError> {
    let (mut faults, mut names) = (Vec::new(), Vec::new());
    if request.vehicles.is_empty() || request.vehicles.len() > MAX_VEHICLES {
        faults.push(InvalidField::new(["vehicles"], format!("must contain 1 to {MAX_VEHICLES} entries")));
    }
    for (index, vid) in request.vehicles.iter().enumerate() {
        if request.vehicles[..index].contains(vid) {
            faults.push(InvalidField::new(JsonPointer::from(["vehicles"]).index(index), "is a repetition; remove it"));
        }
    }
    if request.former_names.len() > MAX_FORMER_NAMES {
        faults.push(InvalidField::new(["formerNames"], format!("must contain at most {MAX_FORMER_NAMES} entries")));
    }
    for (index, text) in request.former_names.iter().take(MAX_FORMER_NAMES).enumerate() {
        match VehicleName::try_from(text.clone()) {
            Ok(name) => names.push(name),
            Err(error) => {
                faults.push(InvalidField::new(JsonPointer::from(["formerNames"]).index(index), error.to_string()));
            }
        }
    }
    if faults.is_empty() { Ok(names) } else { Err(ServiceError::Invalid(faults)) }
}
