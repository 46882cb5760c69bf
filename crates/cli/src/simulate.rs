//! `simulate`: sends data of simulated vehicles, optionally with faults.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use roadcast_traces::simulate::{Faults, SimConfig, Simulator};

use crate::confirmation::Confirmation;
use crate::console::{Console, note};
use crate::location::StackLocation;
use crate::shutdown::ShutdownSignal;
use crate::simulator::transport::{PayloadFormat, Transport, TransportKind};
use crate::simulator::{Simulation, SimulationCounts};
use crate::speed_factor::SpeedFactor;
use crate::stack::{Stack, demo_fleet, tool_clients};
use crate::time_argument::parse_duration;

/// Arguments of `simulate`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo roadcast simulate --vehicles 5 --duration 60s
  cargo roadcast simulate --via kinesis --payload block
  cargo roadcast --stack-name roadcast-dev simulate --duration 5m     On AWS
  cargo roadcast simulate --rate 10x --duplicates 0.05 --reorder 0.1 --clock-skew 0.02 --nonsense 0.01

A stack whose stage is prod is used only after a confirmation, or with --yes.
The exit code is 1 if an upload got no response after all retries.")]
pub(crate) struct SimulateArgs {
    /// Number of vehicles.
    #[arg(long, default_value_t = 3, value_name = "N")]
    pub(crate) vehicles: usize,
    /// Transport of the uploads.
    #[arg(long, value_enum, default_value_t = TransportKind::Http)]
    pub(crate) via: TransportKind,
    /// Format of the uploads.
    #[arg(long, value_enum, default_value_t = PayloadFormat::Json)]
    pub(crate) payload: PayloadFormat,
    /// Seed of the simulation; the same seed gives the same vehicles and drives.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Speed of simulated time as a multiple of real time, such as 10x.
    #[arg(long, default_value = "1x", value_name = "FACTOR")]
    pub(crate) rate: SpeedFactor,
    /// Fraction of uploads that are sent twice, from 0 to 1.
    #[arg(long, default_value_t = 0.0, value_name = "P", value_parser = parse_fraction)]
    pub(crate) duplicates: f64,
    /// Fraction of uploads that are sent after later ones, from 0 to 1.
    #[arg(long, default_value_t = 0.0, value_name = "P", value_parser = parse_fraction)]
    pub(crate) reorder: f64,
    /// Fraction of samples with a wrong clock, from 0 to 1.
    #[arg(long, default_value_t = 0.0, value_name = "P", value_parser = parse_fraction)]
    pub(crate) clock_skew: f64,
    /// Fraction of samples that are missing, from 0 to 1.
    #[arg(long, default_value_t = 0.0, value_name = "P", value_parser = parse_fraction)]
    pub(crate) gaps: f64,
    /// Fraction of samples with invalid values, from 0 to 1.
    #[arg(long, default_value_t = 0.0, value_name = "P", value_parser = parse_fraction)]
    pub(crate) nonsense: f64,
    /// Duration of the simulation in real time, such as 60s, 10m or 1h [default: until Ctrl-C].
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) duration: Option<Duration>,
    #[command(flatten)]
    pub(crate) confirmation: Confirmation,
}

fn parse_fraction(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(fraction) if (0.0..=1.0).contains(&fraction) => Ok(fraction),
        _ => Err("expected a fraction from 0 to 1, such as 0.05".to_owned()),
    }
}

/// The number of samples per upload: the default, or fewer so that each vehicle has at least two uploads in a short simulation.
fn samples_per_upload(defaults: &SimConfig, duration: Option<Duration>, rate: f64) -> usize {
    let Some(duration) = duration else { return defaults.samples_per_upload };
    let simulated_ms = Duration::try_from_secs_f64(duration.as_secs_f64() * rate).unwrap_or(Duration::MAX).as_millis();
    let samples = simulated_ms / u128::from(defaults.interval_ms.unsigned_abs().max(1));
    usize::try_from(samples / 2).unwrap_or(usize::MAX).clamp(1, defaults.samples_per_upload.max(1))
}

pub(crate) async fn run(location: &StackLocation, console: &Console, options: &SimulateArgs) -> Result<ExitCode> {
    let mut shutdown = ShutdownSignal::listen()?;
    let mut stack = Stack::open(location).await?;
    options.confirmation.ask(&stack, "registers simulated vehicles and sends their data")?;
    let admin = stack.admin().await?;
    let api = Arc::new(tool_clients::ingest_client(&mut stack, &admin, Confirmation::given()).await?);
    let defaults = SimConfig::default();
    let config = SimConfig {
        samples_per_upload: samples_per_upload(&defaults, options.duration, options.rate.0),
        seed: options.seed,
        vehicles: options.vehicles,
        source: tool_clients::SIMULATOR_SOURCE.to_owned(),
        faults: Faults {
            duplicates: options.duplicates,
            reorder: options.reorder,
            clock_skew: options.clock_skew,
            gaps: options.gaps,
            nonsense: options.nonsense,
        },
        ..defaults
    };
    let registrations = Simulator::new(&config)
        .vehicles()
        .map(|(key, details)| (key.clone(), demo_fleet::registration(key, Some(details))))
        .collect::<Vec<_>>();
    let mut step = console.counted_step("Registering vehicles", registrations.len() as u64);
    let vids = demo_fleet::register(&api, registrations, &mut step).await?;
    step.finish(&format!("{} vehicles", vids.len()));

    let transport = Arc::new(Transport::to_stack(options.via, options.payload, &stack, &api).await?);
    let simulation = Simulation { config, rate: options.rate.0, duration: options.duration };
    let mut step = console.step("Simulating");
    let mut counts = SimulationCounts::default();
    tokio::select! {
        () = simulation.run(&transport, &vids, &mut counts, Some(&mut step)) => {}
        () = shutdown.recv() => {}
    }
    step.finish("finished");
    if counts.uploads == 0 && counts.failed_uploads == 0 {
        note("No upload was due: simulate for a longer time, see --duration.");
    }
    let text = format!(
        "{} samples in {} uploads: {} accepted, {} refused",
        counts.accepted + counts.refused,
        counts.uploads,
        counts.accepted,
        counts.refused
    );
    console.print_result(&counts, &text)?;
    Ok(if counts.failed_uploads == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn short_simulation_has_smaller_uploads() {
        let samples = |seconds, rate| samples_per_upload(&SimConfig::default(), Some(Duration::from_secs(seconds)), rate);
        assert_eq!((samples(8, 1.0), samples(1, 1.0), samples(60, 1.0)), (4, 1, 10));
        assert_eq!(samples(2, 10.0), 10);
        assert_eq!(samples_per_upload(&SimConfig::default(), None, 1.0), 10);
    }

    #[test]
    fn fractions_are_at_most_one() {
        assert!((parse_fraction("0.5").unwrap() - 0.5).abs() < f64::EPSILON);
        assert!(parse_fraction("1.2").is_err());
    }
}
