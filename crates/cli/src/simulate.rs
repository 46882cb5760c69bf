//! `simulate`: more vehicles, and worse ones.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use roadcast_traces::simulate::{Faults, SimConfig, Simulator};

use crate::args;
use crate::console::Console;
use crate::simulator::way::Way;
use crate::simulator::{Drive, Sent};
use crate::stack::Stack;
use crate::stack::layout::Layout;
use crate::stack::onboard;
use crate::up::Interrupt;

pub(crate) async fn run(layout: &Layout, console: &Console, options: &args::Simulate) -> Result<ExitCode> {
    let mut interrupt = Interrupt::listen()?;
    let mut stack = Stack::open(layout)?;
    let admin = stack.admin().await?;
    let api = Arc::new(onboard::ingest_client(&mut stack, layout, &admin).await?);
    let config = SimConfig {
        seed: options.seed,
        vehicles: options.vehicles,
        source: onboard::SIMULATOR_SOURCE.to_owned(),
        faults: Faults {
            duplicates: options.duplicates,
            reorder: options.reorder,
            clock_skew: options.clock_skew,
            gaps: options.gaps,
            nonsense: options.nonsense,
        },
        ..SimConfig::default()
    };
    let registrations = Simulator::new(&config)
        .vehicles()
        .map(|(key, details)| (key.clone(), onboard::registration(key, Some(details))))
        .collect::<Vec<_>>();
    let mut step = console.counted("Registering vehicles", registrations.len() as u64);
    let vids = onboard::register(&api, registrations, &mut step).await?;
    step.done(&format!("{} vehicles", vids.len()));

    let way = Arc::new(Way::into_stack(options.via, options.payload, &stack, &api)?);
    let drive = Drive { config, rate: options.rate.0, duration: options.duration };
    let mut step = console.step("Simulating");
    let mut sent = Sent::default();
    tokio::select! {
        () = drive.run(&way, &vids, &mut sent, Some(&mut step)) => {}
        () = interrupt.wait() => {}
    }
    step.done("ended");
    let text = format!(
        "{} samples in {} uploads: {} accepted, {} refused",
        sent.accepted + sent.refused,
        sent.uploads,
        sent.accepted,
        sent.refused
    );
    console.result(&sent, &text)?;
    Ok(if sent.failed_uploads == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
