//! `onboard`: fleets, their apps, vehicles and subscriptions from a file, made through the API; what is there already stays.

mod mapped;
mod subscriptions;
mod wanted;

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::api::{Api, ExternalId, Fleet, Registration};
use crate::args;
use crate::console::{Console, Step};
use crate::stack::Stack;
use crate::stack::layout::Layout;
use subscriptions::Subscriber;
use wanted::{WantedFleet, WantedVehicle};

/// What was found and what was made, in order.
#[derive(Debug, Default)]
struct Difference {
    lines: Vec<(bool, String)>,
    credentials: Vec<Value>,
}

impl Difference {
    fn there(&mut self, what: impl Into<String>) {
        self.lines.push((false, what.into()));
    }

    fn missing(&mut self, what: impl Into<String>) {
        self.lines.push((true, what.into()));
    }
}

pub(crate) async fn run(layout: &Layout, console: &Console, options: &args::Onboard) -> Result<ExitCode> {
    let wanted = wanted::of(options)?;
    let stack = Stack::open(layout)?;
    let api = stack.admin().await?;
    let mut difference = Difference::default();
    let steps = wanted.vehicles.len() + wanted.fleets.len();
    let mut step = console.counted(if options.dry_run { "Comparing" } else { "Onboarding" }, steps as u64);
    for (place, vehicle) in wanted.vehicles.iter().enumerate() {
        step.reach(place as u64, vehicle.names.first().map_or("", String::as_str));
        onboard_vehicle(&api, vehicle, options.dry_run, &mut difference).await?;
    }
    let fleets = api.fleets().await?;
    for (place, fleet) in wanted.fleets.iter().enumerate() {
        step.reach((wanted.vehicles.len() + place) as u64, &fleet.name);
        onboard_fleet(&api, fleet, &fleets, options.dry_run, &mut difference, &mut step).await?;
    }
    let new = difference.lines.iter().filter(|(new, _)| *new).count();
    step.done(&format!("{new} new, {} there already", difference.lines.len() - new));
    report(console, &difference, options.dry_run)?;
    Ok(ExitCode::SUCCESS)
}

async fn onboard_vehicle(api: &Api, wanted: &WantedVehicle, dry_run: bool, difference: &mut Difference) -> Result<()> {
    let shown = wanted.names.first().map_or("a vehicle with a VIN", String::as_str);
    let mut found = None;
    for name in &wanted.names {
        found = found.or(api.vehicle_named(name).await?);
    }
    if let Some(vid) = found {
        difference.there(format!("vehicle {shown}, {vid}"));
    } else if dry_run {
        difference.missing(format!("vehicle {shown}"));
    } else {
        let external_ids = wanted.names.iter().map(|name| external_id(name)).collect::<Result<_>>()?;
        let registration = Registration {
            vin: wanted.vin.clone(),
            external_ids,
            make: wanted.make.clone(),
            model: wanted.model.clone(),
            model_year: wanted.model_year,
            fuel_type: wanted.fuel_type.clone(),
        };
        difference.missing(format!("vehicle {shown}, {}", api.register(&registration).await?));
    }
    Ok(())
}

fn external_id(name: &str) -> Result<ExternalId> {
    let (scheme, value) = name.split_once(':').with_context(|| format!("{name} is no scheme:value, such as bus:2619"))?;
    Ok(ExternalId { scheme: scheme.to_owned(), value: value.to_owned() })
}

async fn onboard_fleet(
    api: &Api,
    wanted: &WantedFleet,
    known: &[Fleet],
    dry_run: bool,
    difference: &mut Difference,
    step: &mut Step,
) -> Result<()> {
    let mut same = known.iter().filter(|fleet| match &wanted.fleet_id {
        Some(fleet_id) => fleet.id == *fleet_id,
        None => fleet.name == wanted.name,
    });
    let fleet = match (same.next(), same.next()) {
        (Some(_), Some(_)) => bail!("several fleets are called {}: name the one by its fleetId", wanted.name),
        (None, _) if wanted.fleet_id.is_some() => bail!("there is no fleet of the id given for {}", wanted.name),
        (found, None) => found.cloned(),
        (None, Some(_)) => None,
    };
    let existing = match &fleet {
        None => Vec::new(),
        Some(fleet) => {
            difference.there(format!("fleet {}, {}", fleet.name, fleet.id));
            api.subscriptions(&fleet.id).await?
        }
    };
    let fleet_id = match fleet {
        Some(fleet) => Some(fleet.id),
        None if dry_run => {
            difference.missing(format!("fleet {}", wanted.name));
            wanted.apps.iter().for_each(|app| difference.missing(format!("app {app} of {}", wanted.name)));
            None
        }
        None => Some(create_fleet(api, wanted, difference).await?),
    };
    let fleet = Subscriber { name: &wanted.name, fleet_id: fleet_id.as_deref(), existing: &existing, dry_run };
    for subscription in &wanted.subscriptions {
        subscriptions::onboard(api, &fleet, subscription, difference, step).await?;
    }
    Ok(())
}

async fn create_fleet(api: &Api, wanted: &WantedFleet, difference: &mut Difference) -> Result<String> {
    let body = without_nulls(json!({ "name": wanted.name, "plan": wanted.plan }));
    let made: Fleet = api.create("/fleets", &body).await?;
    difference.missing(format!("fleet {}, {}", made.name, made.id));
    for app in &wanted.apps {
        let body = json!({ "name": app, "kind": "fleet", "fleetId": made.id });
        let client: Value = api.create("/clients", &body).await?;
        difference.missing(format!("app {app} of {}", wanted.name));
        difference.credentials.push(client);
    }
    Ok(made.id)
}

fn without_nulls(mut body: Value) -> Value {
    if let Some(members) = body.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    body
}

fn report(console: &Console, difference: &Difference, dry_run: bool) -> Result<()> {
    let of = |new: bool| difference.lines.iter().filter(move |line| line.0 == new).map(|line| line.1.as_str());
    let object = json!({
        "dryRun": dry_run,
        "new": of(true).collect::<Vec<_>>(),
        "there": of(false).collect::<Vec<_>>(),
        "clients": difference.credentials,
    });
    let mut text = String::new();
    for (new, what) in &difference.lines {
        writeln!(text, "{} {what}", if *new { '+' } else { '=' })?;
    }
    for client in &difference.credentials {
        let field = |name: &str| client[name].as_str().unwrap_or_default();
        writeln!(text, "\n{}: client id {}", field("name"), field("clientId"))?;
        writeln!(text, "{:1$}  secret    {2}  (shown this once)", "", field("name").len(), field("clientSecret"))?;
    }
    if dry_run {
        writeln!(text, "\nNothing was changed: leave out --dry-run to make what has a +.")?;
    }
    console.result(&object, &text)
}
