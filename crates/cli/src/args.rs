//! What the command line takes.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Parser, Subcommand};
use roadcast_traces::Format;

/// Vehicle data as a service, on your laptop.
#[derive(Debug, Parser)]
#[command(name = "roadcast", bin_name = "cargo roadcast", version, arg_required_else_help = true)]
#[command(after_help = "A first walk:
  cargo roadcast up                             start everything, with simulated vehicles
  cargo roadcast status                         in another terminal: addresses, fleets and tokens
  cargo roadcast tail --fleet FLEET             watch a fleet's feed
  cargo roadcast replay --wait trip.ndjson.zst  send a recording and count what became of it

Everything listens on 127.0.0.1 only and lives in the folder .roadcast of the workspace.")]
pub(crate) struct Args {
    /// Print one JSON object on standard output, for scripts; progress still goes to standard error.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Where the stack keeps its state: .roadcast in the workspace unless it is named. Another folder is another stack.
    #[arg(long, global = true, env = "ROADCAST_DIR", value_name = "FOLDER")]
    pub(crate) dir: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the stack: install, build, deploy, onboard a demo fleet, simulate vehicles.
    #[command(after_help = "Examples:
  cargo roadcast up                  run until Ctrl-C
  cargo roadcast up --detach         return once it runs; `cargo roadcast down` stops it
  cargo roadcast up --fresh          forget all data first
  cargo roadcast --dir /tmp/b up --port 0 --detach --json   a second stack, on a free port, for a script")]
    Up(Up),
    /// Stop a stack, wherever it was started, with every process of it. Its data stays.
    Down,
    /// Show addresses, fleets, fresh tokens and how much is stored.
    #[command(after_help = "Example:
  TOKEN=$(cargo roadcast --json status | jq -r .tokens.admin)")]
    Status,
    /// Drive simulated vehicles, flawless or faulty.
    #[command(after_help = "Examples:
  cargo roadcast simulate --vehicles 5 --duration 60s
  cargo roadcast simulate --via kinesis --payload block
  cargo roadcast simulate --rate 10x --duplicates 0.05 --reorder 0.1 --clock-skew 0.02 --nonsense 0.01")]
    Simulate(Simulate),
    /// Send recordings through the HTTP API, and reconcile what came of them.
    #[command(after_help = "Examples:
  cargo roadcast replay --wait measurements.ndjson.zst
  cargo roadcast replay --speed 10x bus-day.csv.gz
  cargo roadcast --json replay --register-only trip.csv | jq .vehicles
  cargo roadcast --json replay --wait --no-subscribe trip.csv

With --wait it ends with 2 where the counts do not add up.")]
    Replay(Replay),
    /// Follow a fleet's feed. What it shows is acknowledged, so nobody else gets it.
    #[command(after_help = "Examples:
  cargo roadcast tail --fleet flt_0123456789abcdef
  cargo roadcast --json tail --fleet flt_0123456789abcdef --once   what is there now, an event a line")]
    Tail(Tail),
    /// Load a file of bulk data: which customer has which vehicle. Waits for what is said of it, and shows the first wrong rows.
    #[command(after_help = "Examples:
  cargo roadcast load customers.csv
  cargo roadcast load customers.ndjson.zst
  cargo roadcast load --as schemas schemas.ndjson
  cargo roadcast --json load customers.csv | jq .summary

The name's ending says the form: .csv, .ndjson or .jsonl, then .gz, .zst or nothing. docs/bulk-data.md says what a row has.
It ends with 1 where the file cannot be read, or not to its end. `cargo roadcast onboard --mapped` subscribes a fleet to the
vehicles that were loaded: by themselves they grant nothing.")]
    Load(Load),
    /// Onboard fleets, their apps, vehicles and subscriptions, from a file or flags. What is there already stays as it is.
    #[command(after_help = "Examples:
  cargo roadcast onboard --dry-run fleets.yaml     show what is there (=) and what would be made (+)
  cargo roadcast onboard fleets.yaml
  cargo roadcast onboard --fleet Nordwind --app nordwind-app --vehicle bus:2619 --package track-and-trace
  cargo roadcast onboard --fleet Nordwind --mapped --package telematics     all that `cargo roadcast load` said it has

The file:
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

`vehicles: mapped` makes subscriptions of up to 1,000 vehicles each for those that files of bulk data say the fleet has, and no
subscription with these packages covers yet. Fleets are known by their names, or by fleetId where several have one; vehicles by their vid or a name; a subscription is
there where one of the same vehicles and packages, to the same end, is not revoked. Apps are made together with a new
fleet, and their secrets are shown once.")]
    Onboard(Onboard),
    /// Have a fleet leave: its feed is read to the end or discarded, and then all that it has is removed.
    #[command(after_help = "Examples:
  cargo roadcast offboard --dry-run flt_0123456789abcdef     what would go
  cargo roadcast offboard flt_0123456789abcdef               it may read its feed to the end, for at most four days
  cargo roadcast offboard --discard flt_0123456789abcdef     at once, with all that is in its feed
  cargo roadcast offboard --no-wait flt_0123456789abcdef     only ask for it

What is removed: subscriptions (revoked), app clients, queues, and the rule. What it was given can be read still, in its
audit trail and receipts. If it stops half-way, the same command goes on.")]
    Offboard(Offboard),
    /// Print what a month would cost on AWS: the real use cases run a day under a meter.
    #[command(after_help = "Examples:
  cargo roadcast cost
  cargo roadcast cost --vehicles 2500 --fleets 4 --tenants
  cargo roadcast --json cost | jq '.iot.traffic, .put_records.traffic'

It needs no running stack, nothing from AWS, and about three minutes for 10,000 vehicles.
Prices are those of infra/prices.csv; docs/performance.md says how they are counted.")]
    Cost(Cost),
    /// Write the API reference, a page to read and to try every operation on, into a folder.
    #[command(after_help = "Examples:
  cargo roadcast reference --out site --api /dev     for one origin that serves the page and the API's stage `dev`
  cargo roadcast reference --out site --api https://abc123.execute-api.eu-central-1.amazonaws.com/dev
  aws s3 sync site s3://BUCKET --cache-control no-cache     BUCKET is the stack's output ApiReferenceBucketName

`cargo roadcast up` publishes the same page by itself. It needs npm, which fetches Swagger UI once.
The page calls the origin that it is served from and no other, so operations can be tried where the API is behind
the same name; elsewhere it is there to be read.")]
    Reference(Reference),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Load {
    /// The file.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// What the file says.
    #[arg(long = "as", value_enum, value_name = "KIND", default_value_t = BulkKind::VinMap)]
    pub(crate) kind: BulkKind,
}

/// What a file of bulk data says.
#[derive(Copy, Clone, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum BulkKind {
    /// Which customer has which vehicle.
    VinMap,
    /// Schemas of custom events.
    Schemas,
}

impl BulkKind {
    /// Where its files are put.
    pub(crate) const fn prefix(self) -> &'static str {
        match self {
            Self::VinMap => "vin-map",
            Self::Schemas => "schemas",
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Offboard {
    /// The fleet's id.
    #[arg(value_name = "FLEET")]
    pub(crate) fleet: String,
    /// Only show what would be removed.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not let it read what waits in its feed.
    #[arg(long)]
    pub(crate) discard: bool,
    /// Do not wait until it is gone.
    #[arg(long = "no-wait", action = clap::ArgAction::SetFalse)]
    pub(crate) wait: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Onboard {
    /// What to onboard, in YAML.
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Only show the difference.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// A fleet's name.
    #[arg(long, value_name = "NAME")]
    pub(crate) fleet: Option<String>,
    /// An application of the fleet, made where the fleet is new.
    #[arg(long, value_name = "NAME", requires = "fleet")]
    pub(crate) app: Option<String>,
    /// A vehicle of its subscription, by vid or `scheme:value`; may be given several times.
    #[arg(long = "vehicle", value_name = "VEHICLE", requires_all = ["fleet", "packages"])]
    pub(crate) vehicles: Vec<String>,
    /// Subscribe it to all vehicles that files of bulk data say it has, and it is not subscribed to yet.
    #[arg(long, requires_all = ["fleet", "packages"])]
    pub(crate) mapped: bool,
    /// A package of its subscription; may be given several times.
    #[arg(long = "package", value_name = "PACKAGE", id = "packages", requires = "fleet")]
    pub(crate) packages: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Reference {
    /// The folder; it is made where it is not there.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: PathBuf,
    /// Where the API is: a URL, or a path where the page is served from the same origin. That of the stack that runs here
    /// where it is left out.
    #[arg(long, value_name = "URL", value_parser = address)]
    pub(crate) api: Option<String>,
}

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Cost {
    /// How many vehicles.
    #[arg(long, default_value_t = 10_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) vehicles: u32,
    /// How many fleets they belong to.
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) fleets: u32,
    /// What devices send: blocks, or plain JSON.
    #[arg(long, value_enum, default_value_t = CostPayload::Compact)]
    pub(crate) payload: CostPayload,
    /// Split the bill by fleet.
    #[arg(long)]
    pub(crate) tenants: bool,
    /// Show 100 to 1,000,000 vehicles too, and what each needs.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub(crate) scaling: bool,
}

/// What devices send.
#[derive(Copy, Clone, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum CostPayload {
    /// Blocks made on the device.
    Compact,
    /// Plain JSON.
    Json,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Up {
    /// Forget everything the stack holds, and start over.
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Return once the stack runs.
    #[arg(long)]
    pub(crate) detach: bool,
    /// Port of the local AWS endpoint; 0 takes a free one. The last one used, or 4566, where it is left out.
    #[arg(long, value_name = "PORT")]
    pub(crate) port: Option<u16>,
    /// Do not start simulated vehicles.
    #[arg(long)]
    pub(crate) no_simulate: bool,
    /// How many simulated vehicles the demo fleet has.
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) vehicles: u16,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Simulate {
    /// How many vehicles.
    #[arg(long, default_value_t = 3, value_name = "N")]
    pub(crate) vehicles: usize,
    /// How they send: as a partner over HTTP, as records put into the stream, or as devices of `IoT` Core.
    #[arg(long, value_enum, default_value_t = SimulatedWay::Http)]
    pub(crate) via: SimulatedWay,
    /// What they send.
    #[arg(long, value_enum, default_value_t = SimulatedPayload::Json)]
    pub(crate) payload: SimulatedPayload,
    /// The same seed makes the same vehicles and drives.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// How fast simulated time runs, such as 10x.
    #[arg(long, default_value = "1x", value_name = "FACTOR")]
    pub(crate) rate: Factor,
    /// Share of uploads sent twice, 0 to 1.
    #[arg(long, default_value_t = 0.0, value_name = "P", value_parser = probability)]
    pub(crate) duplicates: f64,
    /// Share of uploads that arrive after later ones.
    #[arg(long, default_value_t = 0.0, value_name = "P", value_parser = probability)]
    pub(crate) reorder: f64,
    /// Share of samples with a clock that is wrong.
    #[arg(long, default_value_t = 0.0, value_name = "P", value_parser = probability)]
    pub(crate) clock_skew: f64,
    /// Share of samples that are missing.
    #[arg(long, default_value_t = 0.0, value_name = "P", value_parser = probability)]
    pub(crate) gaps: f64,
    /// Share of samples that hold nonsense.
    #[arg(long, default_value_t = 0.0, value_name = "P", value_parser = probability)]
    pub(crate) nonsense: f64,
    /// For how long, such as 60s, 10m or 1h; until Ctrl-C where it is left out.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) duration: Option<Duration>,
}

/// How simulated vehicles send.
#[derive(Copy, Clone, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum SimulatedWay {
    /// Requests to the API.
    Http,
    /// PutRecords.
    Kinesis,
    /// Messages to the topic rule (Basic Ingest). Locally the tool does the rule's Kinesis action itself.
    Iot,
}

/// What simulated vehicles send.
#[derive(Copy, Clone, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum SimulatedPayload {
    /// Plain JSON.
    Json,
    /// JSON as a zstd frame; not over HTTP.
    Zstd,
    /// A block made on the device, in JSON.
    Block,
}

#[derive(Debug, clap::Args)]
#[allow(clippy::struct_excessive_bools)] // each is a switch of the command line
pub(crate) struct Replay {
    /// Recordings: enviroCar NDJSON, CapMetro CSV, Twizy CSV or FMS in VSS; plain, .gz or .zst.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// The format, where the first line should not decide: envirocar, capmetro, twizy or fms-vss.
    #[arg(long)]
    pub(crate) format: Option<Format>,
    /// Samples per upload.
    #[arg(long, default_value_t = 10, value_name = "SAMPLES", value_parser = clap::value_parser!(u16).range(1..=500))]
    pub(crate) batch: u16,
    /// Keep the recorded time, so many times as fast; as fast as answers come where it is left out.
    #[arg(long, value_name = "FACTOR")]
    pub(crate) speed: Option<Factor>,
    /// Wait until everything sent is stored and delivered, and print the reconciliation.
    #[arg(long)]
    pub(crate) wait: bool,
    /// The fleet to subscribe to the recorded vehicles; the demo fleet where it is left out.
    #[arg(long, value_name = "FLEET", conflicts_with = "no_subscribe")]
    pub(crate) fleet: Option<String>,
    /// OffboardingStatus subscriptions alone.
    #[arg(long)]
    pub(crate) no_subscribe: bool,
    /// Register the recorded vehicles, print their ids and send nothing.
    #[arg(long, conflicts_with_all = ["wait", "speed"])]
    pub(crate) register_only: bool,
    /// With --wait: leave the fleets' feeds alone, and count nothing delivered.
    #[arg(long, requires = "wait")]
    pub(crate) no_drain: bool,
    /// How many uploads may be under way at once; those of one vehicle never are.
    #[arg(long, default_value_t = 12, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) concurrency: u16,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Tail {
    /// The fleet.
    #[arg(long, value_name = "FLEET")]
    pub(crate) fleet: String,
    /// Stop once the feed is empty.
    #[arg(long)]
    pub(crate) once: bool,
}

/// How many times as fast as real time, written `10x` or `10`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Factor(pub(crate) f64);

impl FromStr for Factor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.trim_start_matches('x').trim_end_matches('x').parse::<f64>();
        match number {
            Ok(factor) if factor.is_finite() && factor > 0.0 => Ok(Self(factor)),
            _ => Err("expected a factor above 0, such as 10x".to_owned()),
        }
    }
}

/// An address of the API, without the slash at its end.
fn address(text: &str) -> Result<String, String> {
    if ["https://", "http://", "/"].iter().any(|start| text.starts_with(start)) {
        let trimmed = text.trim_end_matches('/');
        Ok(if trimmed.is_empty() { text } else { trimmed }.to_owned())
    } else {
        Err("expected a URL such as https://api.example.com/dev, or a path such as /dev".to_owned())
    }
}

fn probability(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("expected a share between 0 and 1, such as 0.05".to_owned()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "expected a time such as 60s, 10m or 1h".to_owned();
    let (number, seconds) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(number) => (
            number,
            if text.ends_with('s') {
                1.0
            } else if text.ends_with('m') {
                60.0
            } else {
                3600.0
            },
        ),
        None => (text, 1.0),
    };
    let number: f64 = number.parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(number * seconds).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn factors_and_times_are_read_as_people_write_them() {
        assert_eq!("10x".parse::<Factor>().unwrap(), Factor(10.0));
        assert_eq!("x10".parse::<Factor>().unwrap(), Factor(10.0));
        assert!("0x".parse::<Factor>().is_err());
        assert_eq!(duration("90s").unwrap(), Duration::from_secs(90));
        assert_eq!(duration("1.5m").unwrap(), Duration::from_secs(90));
        assert!(duration("-1s").is_err());
        assert!(probability("1.2").is_err());
        assert_eq!(address("https://api.example.com/dev/").unwrap(), "https://api.example.com/dev");
        assert!(address("api.example.com").is_err());
    }
}
