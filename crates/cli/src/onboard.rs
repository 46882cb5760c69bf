//! `onboard`: creates fleets, apps, vehicles and subscriptions through the API, and changes subscriptions that differ.

mod coverage;
mod difference;
mod drift;
mod fleet_vehicles;
mod spec;
mod subscriptions;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::api::{Api, ExternalId, Fleet, Registration};
use crate::console::{Console, Step};
use crate::location::StackLocation;
use crate::stack::Stack;
use difference::Difference;
use spec::{FleetSpec, VehicleSpec};
use subscriptions::Subscriber;

/// The exit code if the stack differs from the specification.
const EXIT_DIFFERENT: u8 = 3;

/// Arguments of `onboard`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo roadcast onboard --dry-run fleets.yaml     List what exists (=), what would be created (+) or differs (~)
  cargo roadcast onboard fleets.yaml
  cargo roadcast --stack-name roadcast-dev onboard fleets.yaml     On AWS
  cargo roadcast onboard --fleet Nordwind --app nordwind-app --vehicle bus:2619 --package track-and-trace
  cargo roadcast onboard --fleet Nordwind --mapped --package telematics     All vehicles that bulk files map to the fleet

File format:
  vehicles:
    - names: [bus:2619]
      make: Gillig
  fleets:
    - name: Nordwind
      plan: standard
      apps: [nordwind-app]
      subscriptions:
        - vehicles: [bus:2619]
          packages: [telematics, track-and-trace]
          validUntil: 2027-12-31T00:00:00Z
        - vehicles: mapped
          packages: [alerts]

`vehicles: mapped` creates subscriptions of up to 1,000 vehicles each, for the vehicles that bulk files map to the fleet and
that no subscription with these packages covers yet.

A fleet is identified by its name, or by fleetId if several fleets have the name; a vehicle by its vid or a name; a
subscription by its vehicles, packages and end, unless it is revoked. Another deliveryFormat or validFrom of a subscription is
changed, and missing apps are created. Their secrets are printed once. The API cannot change the plan of a fleet: it is
reported. What the file does not contain is not compared, and nothing is deleted. Details of existing vehicles are not compared.

The exit code is 3 if the stack differs from the file: with --dry-run if there is any + or ~, otherwise if a difference
cannot be changed.")]
pub(crate) struct OnboardArgs {
    /// YAML file of vehicles and fleets.
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Compare only, and change nothing. The exit code is 3 if there is a difference.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Name of a fleet.
    #[arg(long, value_name = "NAME")]
    pub(crate) fleet: Option<String>,
    /// Name of an app of the fleet; created if the fleet has none of this name.
    #[arg(long, value_name = "NAME", requires = "fleet")]
    pub(crate) app: Option<String>,
    /// Vehicle to subscribe the fleet to, as a vid or `scheme:value`; repeatable.
    #[arg(long = "vehicle", value_name = "VEHICLE", requires_all = ["fleet", "packages"])]
    pub(crate) vehicles: Vec<String>,
    /// Subscribe the fleet to all vehicles that bulk files map to it and that no subscription covers yet.
    #[arg(long, requires_all = ["fleet", "packages"])]
    pub(crate) mapped: bool,
    /// Package of the subscription; repeatable.
    #[arg(long = "package", value_name = "PACKAGE", id = "packages", requires = "fleet")]
    pub(crate) packages: Vec<String>,
}

pub(crate) async fn run(location: &StackLocation, console: &Console, options: &OnboardArgs) -> Result<ExitCode> {
    let spec = spec::load(options)?;
    let stack = Stack::open(location).await?;
    let api = stack.admin().await?;
    let mut difference = Difference::default();
    let steps = spec.vehicles.len() + spec.fleets.len();
    let mut step = console.counted_step(if options.dry_run { "Comparing" } else { "Onboarding" }, steps as u64);
    for (index, vehicle) in spec.vehicles.iter().enumerate() {
        step.set_position(index as u64, vehicle.names.first().map_or("", String::as_str));
        onboard_vehicle(&api, vehicle, options.dry_run, &mut difference).await?;
    }
    let fleets = api.fleets().await?;
    for (index, fleet) in spec.fleets.iter().enumerate() {
        step.set_position((spec.vehicles.len() + index) as u64, &fleet.name);
        onboard_fleet(&api, fleet, &fleets, options.dry_run, &mut difference, &mut step).await?;
    }
    step.finish(&difference.summary());
    difference.print(console, options.dry_run)?;
    Ok(if difference.remains(options.dry_run) { ExitCode::from(EXIT_DIFFERENT) } else { ExitCode::SUCCESS })
}

async fn onboard_vehicle(api: &Api, spec: &VehicleSpec, dry_run: bool, difference: &mut Difference) -> Result<()> {
    let label = spec.names.first().map_or("a vehicle with a VIN", String::as_str);
    let mut found = None;
    for name in &spec.names {
        found = found.or(api.vehicle_named(name).await?);
    }
    if let Some(vid) = found {
        difference.existing(format!("vehicle {label}, {vid}"));
    } else if dry_run {
        difference.new_resource(format!("vehicle {label}"));
    } else {
        let external_ids = spec.names.iter().map(|name| external_id(name)).collect::<Result<_>>()?;
        let registration = Registration {
            vin: spec.vin.clone(),
            external_ids,
            make: spec.make.clone(),
            model: spec.model.clone(),
            model_year: spec.model_year,
            fuel_type: spec.fuel_type.clone(),
        };
        difference.new_resource(format!("vehicle {label}, {}", api.register(&registration).await?));
    }
    Ok(())
}

fn external_id(name: &str) -> Result<ExternalId> {
    let (scheme, value) = name
        .split_once(':')
        .with_context(|| format!("the vehicle name {name} is invalid: expected scheme:value, such as bus:2619"))?;
    Ok(ExternalId { scheme: scheme.to_owned(), value: value.to_owned() })
}

async fn onboard_fleet(
    api: &Api,
    spec: &FleetSpec,
    fleets: &[Fleet],
    dry_run: bool,
    difference: &mut Difference,
    step: &mut Step,
) -> Result<()> {
    let mut matching = fleets.iter().filter(|fleet| match &spec.fleet_id {
        Some(fleet_id) => fleet.id == *fleet_id,
        None => fleet.name == spec.name,
    });
    let fleet = match (matching.next(), matching.next()) {
        (Some(_), Some(_)) => bail!("several fleets have the name {}: set fleetId in the file", spec.name),
        (None, _) if spec.fleet_id.is_some() => {
            bail!("the fleetId of {} does not exist: correct it, or remove it to create a new fleet", spec.name)
        }
        (found, None) => found.cloned(),
        (None, Some(_)) => None,
    };
    let existing = match &fleet {
        None => Vec::new(),
        Some(fleet) => {
            let what = format!("fleet {}, {}", fleet.name, fleet.id);
            match drift::of_plan(spec, fleet) {
                Some(drift) => difference.unchangeable(format!("{what}: {drift}")),
                None => difference.existing(what),
            }
            onboard_apps(api, spec, &fleet.id, dry_run, difference).await?;
            api.subscriptions(&fleet.id).await?
        }
    };
    let fleet_id = match fleet {
        Some(fleet) => Some(fleet.id),
        None if dry_run => {
            difference.new_resource(format!("fleet {}", spec.name));
            spec.apps.iter().for_each(|app| difference.new_resource(format!("app {app} of {}", spec.name)));
            None
        }
        None => Some(create_fleet(api, spec, difference).await?),
    };
    let fleet = Subscriber { name: &spec.name, fleet_id: fleet_id.as_deref(), existing: &existing, dry_run };
    for subscription in &spec.subscriptions {
        subscriptions::onboard(api, &fleet, subscription, difference, step).await?;
    }
    Ok(())
}

async fn create_fleet(api: &Api, spec: &FleetSpec, difference: &mut Difference) -> Result<String> {
    let body = without_nulls(json!({ "name": spec.name, "plan": spec.plan }));
    let created: Fleet = api.create("/fleets", &body).await?;
    difference.new_resource(format!("fleet {}, {}", created.name, created.id));
    for app in &spec.apps {
        create_app(api, spec, app, &created.id, difference).await?;
    }
    Ok(created.id)
}

/// Creates the apps that an existing fleet does not have.
async fn onboard_apps(
    api: &Api,
    spec: &FleetSpec,
    fleet_id: &str,
    dry_run: bool,
    difference: &mut Difference,
) -> Result<()> {
    if spec.apps.is_empty() {
        return Ok(());
    }
    let missing = drift::missing_apps(spec, &api.app_names(fleet_id).await?);
    for app in &spec.apps {
        if !missing.contains(&app) {
            difference.existing(format!("app {app} of {}", spec.name));
        } else if dry_run {
            difference.new_resource(format!("app {app} of {}", spec.name));
        } else {
            create_app(api, spec, app, fleet_id, difference).await?;
        }
    }
    Ok(())
}

async fn create_app(api: &Api, spec: &FleetSpec, app: &str, fleet_id: &str, difference: &mut Difference) -> Result<()> {
    let body = json!({ "name": app, "kind": "fleet", "fleetId": fleet_id });
    let client: Value = api.create("/clients", &body).await?;
    difference.new_resource(format!("app {app} of {}", spec.name));
    difference.credentials(client);
    Ok(())
}

fn without_nulls(mut body: Value) -> Value {
    if let Some(members) = body.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    body
}
