//! `onboard`: fleets, their apps, vehicles and subscriptions from a file, made through the API; what is there already stays.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::{Api, ExternalId, Fleet, Registration, Subscription};
use crate::args;
use crate::console::Console;
use crate::stack::Stack;
use crate::stack::layout::Layout;

/// How long a subscription may take until it is active.
const PATIENCE: Duration = Duration::from_mins(2);

/// What is wanted.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wanted {
    #[serde(default)]
    vehicles: Vec<WantedVehicle>,
    #[serde(default)]
    fleets: Vec<WantedFleet>,
}

/// A vehicle, by its names.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WantedVehicle {
    /// `scheme:value`, each.
    names: Vec<String>,
    #[serde(default)]
    vin: Option<String>,
    #[serde(default)]
    make: Option<String>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    model_year: Option<u16>,
    #[serde(default)]
    fuel_type: Option<String>,
}

/// A fleet. It is known by its id, or else by its name.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WantedFleet {
    name: String,
    #[serde(default)]
    fleet_id: Option<String>,
    #[serde(default)]
    plan: Option<String>,
    /// Names of its applications; they are made together with a fleet that is new.
    #[serde(default)]
    apps: Vec<String>,
    #[serde(default)]
    subscriptions: Vec<WantedSubscription>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WantedSubscription {
    /// `vid`s or names, `scheme:value`.
    vehicles: Vec<String>,
    packages: Vec<String>,
    #[serde(default)]
    delivery_format: Option<String>,
    #[serde(default)]
    valid_from: Option<String>,
    #[serde(default)]
    valid_until: Option<String>,
}

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
    let wanted = wanted(options)?;
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
        onboard_fleet(&api, fleet, &fleets, options.dry_run, &mut difference).await?;
    }
    let new = difference.lines.iter().filter(|(new, _)| *new).count();
    step.done(&format!("{new} new, {} there already", difference.lines.len() - new));
    report(console, &difference, options.dry_run)?;
    Ok(ExitCode::SUCCESS)
}

/// The file's wants, and those of the flags.
fn wanted(options: &args::Onboard) -> Result<Wanted> {
    let mut wanted = match &options.file {
        None => Wanted::default(),
        Some(path) => read(path)?,
    };
    if let Some(name) = &options.fleet {
        let vehicles = options.vehicles.clone();
        let packages = options.packages.clone();
        let names = vehicles.iter().filter(|name| !name.starts_with("veh_"));
        let by_name = |name: &String| WantedVehicle {
            names: vec![name.clone()],
            vin: None,
            make: None,
            model: None,
            model_year: None,
            fuel_type: None,
        };
        wanted.vehicles.extend(names.map(by_name));
        let subscription =
            WantedSubscription { vehicles, packages, delivery_format: None, valid_from: None, valid_until: None };
        let subscriptions = if options.vehicles.is_empty() { Vec::new() } else { vec![subscription] };
        let apps = options.app.iter().cloned().collect();
        wanted.fleets.push(WantedFleet { name: name.clone(), fleet_id: None, plan: None, apps, subscriptions });
    }
    if wanted.vehicles.is_empty() && wanted.fleets.is_empty() {
        bail!("nothing to onboard: give a file, or --fleet with --vehicle and --package; --help shows both");
    }
    Ok(wanted)
}

fn read(path: &Path) -> Result<Wanted> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_norway::from_str(&text).with_context(|| format!("{} does not say what to onboard", path.display()))
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
) -> Result<()> {
    let mut same = known.iter().filter(|fleet| match &wanted.fleet_id {
        Some(fleet_id) => fleet.fleet_id == *fleet_id,
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
            difference.there(format!("fleet {}, {}", fleet.name, fleet.fleet_id));
            api.subscriptions(&fleet.fleet_id).await?
        }
    };
    if dry_run {
        if fleet.is_none() {
            difference.missing(format!("fleet {}", wanted.name));
            wanted.apps.iter().for_each(|app| difference.missing(format!("app {app} of {}", wanted.name)));
        }
        for subscription in &wanted.subscriptions {
            let vids = vids(api, subscription).await?;
            match vids.as_ref().and_then(|vids| alike(subscription, vids, &existing)) {
                Some(found) => difference.there(shown(subscription, &wanted.name, Some(found))),
                None => difference.missing(shown(subscription, &wanted.name, None)),
            }
        }
        return Ok(());
    }
    let fleet_id = match fleet {
        Some(fleet) => fleet.fleet_id,
        None => create_fleet(api, wanted, difference).await?,
    };
    for subscription in &wanted.subscriptions {
        let vids = vids(api, subscription).await?;
        let vids = vids.with_context(|| format!("a vehicle of {}'s subscription is not registered", wanted.name))?;
        if let Some(found) = alike(subscription, &vids, &existing) {
            difference.there(shown(subscription, &wanted.name, Some(found)));
            continue;
        }
        let body = json!({
            "vehicles": vids, "packages": subscription.packages, "deliveryFormat": subscription.delivery_format,
            "validFrom": subscription.valid_from, "validUntil": subscription.valid_until,
        });
        let made: Subscription = api.create(&format!("/fleets/{fleet_id}/subscriptions"), &without_nulls(body)).await?;
        let active = until_active(api, &fleet_id, made).await?;
        difference.missing(shown(subscription, &wanted.name, Some(&active)));
    }
    Ok(())
}

async fn create_fleet(api: &Api, wanted: &WantedFleet, difference: &mut Difference) -> Result<String> {
    let body = without_nulls(json!({ "name": wanted.name, "plan": wanted.plan }));
    let made: Fleet = api.create("/fleets", &body).await?;
    difference.missing(format!("fleet {}, {}", made.name, made.fleet_id));
    for app in &wanted.apps {
        let body = json!({ "name": app, "kind": "fleet", "fleetId": made.fleet_id });
        let client: Value = api.create("/clients", &body).await?;
        difference.missing(format!("app {app} of {}", wanted.name));
        difference.credentials.push(client);
    }
    Ok(made.fleet_id)
}

/// The ids of a subscription's vehicles; nothing where one is not registered.
async fn vids(api: &Api, wanted: &WantedSubscription) -> Result<Option<BTreeSet<String>>> {
    let mut vids = BTreeSet::new();
    for name in &wanted.vehicles {
        let vid = if name.starts_with("veh_") { Some(name.clone()) } else { api.vehicle_named(name).await? };
        match vid {
            Some(vid) => vids.insert(vid),
            None => return Ok(None),
        };
    }
    Ok(Some(vids))
}

/// The subscription that is there for the same: of the same vehicles and packages, to the same end, and not revoked.
fn alike<'s>(
    wanted: &WantedSubscription,
    vids: &BTreeSet<String>,
    existing: &'s [Subscription],
) -> Option<&'s Subscription> {
    let packages: BTreeSet<&String> = wanted.packages.iter().collect();
    let instant =
        |text: &Option<String>| text.as_ref().and_then(|text| roadcast_domain::Timestamp::parse_rfc3339(text).ok());
    existing.iter().find(|there| {
        there.state != "revoked"
            && there.vehicles.iter().collect::<BTreeSet<_>>() == vids.iter().collect()
            && there.packages.iter().collect::<BTreeSet<_>>() == packages
            && instant(&there.valid_until) == instant(&wanted.valid_until)
    })
}

fn shown(wanted: &WantedSubscription, fleet: &str, there: Option<&Subscription>) -> String {
    let count = wanted.vehicles.len();
    let vehicles = if count == 1 { "vehicle" } else { "vehicles" };
    let of = format!("{fleet}: {count} {vehicles}, {}", wanted.packages.join(", "));
    there.map_or_else(
        || format!("subscription of {of}"),
        |there| format!("subscription of {of}; {} {}", there.id, there.state),
    )
}

async fn until_active(api: &Api, fleet_id: &str, mut subscription: Subscription) -> Result<Subscription> {
    let began = Instant::now();
    while subscription.state != "active" {
        if let Some(reason) = &subscription.reason {
            bail!("subscription {}: {reason}", subscription.id);
        }
        if began.elapsed() > PATIENCE {
            bail!("subscription {} is still {}", subscription.id, subscription.state);
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        subscription = api.subscription(fleet_id, &subscription.id).await?;
    }
    Ok(subscription)
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn subscription(state: &str, vehicles: &[&str], until: Option<&str>) -> Subscription {
        Subscription {
            id: "sub_x".to_owned(),
            vehicles: vehicles.iter().map(|&vid| vid.to_owned()).collect(),
            packages: vec!["telematics".to_owned(), "alerts".to_owned()],
            state: state.to_owned(),
            reason: None,
            valid_from: "2026-01-01T00:00:00.000Z".to_owned(),
            valid_until: until.map(str::to_owned),
        }
    }

    #[test]
    fn a_subscription_for_the_same_is_found_whatever_its_order_and_a_revoked_one_is_not() {
        let text = "{vehicles: [veh_b, veh_a], packages: [alerts, telematics], validUntil: 2027-01-01T01:00:00+01:00}";
        let wanted: WantedSubscription = serde_norway::from_str(text).unwrap();
        let vids = BTreeSet::from(["veh_a".to_owned(), "veh_b".to_owned()]);
        let is_there = |there: Subscription| alike(&wanted, &vids, &[there]).is_some();
        assert!(is_there(subscription("active", &["veh_a", "veh_b"], Some("2027-01-01T00:00:00.000Z"))));
        assert!(!is_there(subscription("revoked", &["veh_a", "veh_b"], Some("2027-01-01T00:00:00.000Z"))));
        assert!(!is_there(subscription("active", &["veh_a"], Some("2027-01-01T00:00:00.000Z"))));
        assert!(!is_there(subscription("active", &["veh_a", "veh_b"], None)));
    }

    #[test]
    fn a_misspelt_member_of_the_file_is_named() {
        let error = serde_norway::from_str::<Wanted>("fleets:\n  - name: A\n    subscribtions: []\n").unwrap_err();
        assert!(error.to_string().contains("subscribtions"), "{error}");
    }
}
