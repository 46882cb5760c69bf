//! `up`: everything from an empty folder to vehicles in a feed.

use std::fs::File;
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use roadcast_traces::VehicleKey;
use roadcast_traces::simulate::SimConfig;
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::args;
use crate::aws;
use crate::console::{Console, note};
use crate::simulator::way::Way;
use crate::simulator::{Drive, Sent};
use crate::stack::endpoint::{self, Endpoint};
use crate::stack::layout::Layout;
use crate::stack::process::Leader;
use crate::stack::state::{RunFile, StackFile};
use crate::stack::{Stack, build, deploy, gateway, onboard, package, reference, template, venv};

const DEFAULT_PORT: u16 = 4566;

/// The ways in which a person or a script asks this tool to stop.
pub(crate) struct Interrupt {
    signals: [Signal; 3],
}

impl Interrupt {
    pub(crate) fn listen() -> Result<Self> {
        let on = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self { signals: [on(SignalKind::interrupt())?, on(SignalKind::terminate())?, on(SignalKind::hangup())?] })
    }

    /// Waits to be asked.
    pub(crate) async fn wait(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.signals;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

pub(crate) async fn run(layout: &Layout, console: &Console, options: args::Up) -> Result<ExitCode> {
    let began = Instant::now();
    let mut interrupt = Interrupt::listen()?;
    layout.create()?;
    let _lock = layout.lock_stack()?;
    end_what_a_crash_left(layout).await?;
    if options.fresh {
        layout.wipe()?;
    }
    let mut file = StackFile::read(layout)?.unwrap_or_default();
    let usual = if file.port == 0 { DEFAULT_PORT } else { file.port };
    let port = endpoint::choose_port(options.port.unwrap_or(usual))?;

    // Until here no process of ours outlives this one; from the endpoint's start on, every way out stops it.
    let plan = tokio::select! {
        plan = Plan::make(layout, console) => plan?,
        () = interrupt.wait() => return Ok(interrupted()),
    };
    let mut endpoint = tokio::select! {
        endpoint = Endpoint::start(layout, &plan.bin, port, console) => endpoint?,
        () = interrupt.wait() => return Ok(interrupted()),
    };
    let own = if options.detach { None } else { Some(Leader::of(std::process::id())?) };
    let run = RunFile { endpoint: endpoint.leader.clone(), foreground: own, simulator: None };
    run.write(layout)?;
    file.port = port;
    file.write(layout)?;

    let ready = tokio::select! {
        ready = put_in_place(layout, console, &plan, file, usize::from(options.vehicles)) => ready,
        () = interrupt.wait() => Err(anyhow::anyhow!("interrupted")),
        status = endpoint.ended() => {
            Err(anyhow::anyhow!("the local AWS endpoint ended ({status}); its log is {}", layout.endpoint_log().display()))
        }
    };
    let ready = ready.and_then(|stack| {
        let simulator = if options.detach && !options.no_simulate { Some(spawn_simulator(layout, &options)?) } else { None };
        Ok((stack, simulator))
    });
    let (stack, simulator) = match ready {
        Ok(ready) => ready,
        Err(error) => {
            stop(layout, &mut endpoint, console).await;
            return Err(error);
        }
    };
    if options.detach {
        RunFile { endpoint: endpoint.release(), foreground: None, simulator }.write(layout)?;
        announce(&stack, console, &options, began)?;
        return Ok(ExitCode::SUCCESS);
    }
    announce(&stack, console, &options, began)?;
    let outcome = serve(&stack, layout, &mut endpoint, &mut interrupt, &options).await;
    stop(layout, &mut endpoint, console).await;
    outcome.map(|()| ExitCode::SUCCESS)
}

/// What is to be deployed, and with what it runs.
struct Plan {
    bin: PathBuf,
    packaged: package::Packaged,
    resources: usize,
}

impl Plan {
    async fn make(layout: &Layout, console: &Console) -> Result<Self> {
        let bin = venv::ensure(layout, console).await?;
        let path = layout.root().join("template.yaml");
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let template = template::parse(&text)?;
        let functions = build::functions(layout, &template::binaries(&template)?, console).await?;
        let resources = template::resource_count(&template);
        Ok(Self { bin, packaged: package::package(layout, template, &functions)?, resources })
    }
}

/// Deploys what changed, onboards what is missing, and publishes the API reference.
async fn put_in_place(layout: &Layout, console: &Console, plan: &Plan, file: StackFile, vehicles: usize) -> Result<Stack> {
    let config = aws::config(file.port);
    let digest = deploy::digest(&plan.packaged);
    let deployed = deploy::outputs(&config).await?;
    let mut stack = Stack { file, config };
    if let Some(outputs) = deployed.filter(|_| stack.file.deployed == digest) {
        stack.file.outputs = outputs;
        note("Deploying template.yaml: nothing changed");
    } else {
        stack.file.outputs = deploy::deploy(&stack.config, &plan.packaged, plan.resources, console).await?;
        gateway::set_responses(&stack, layout).await?;
        stack.file.deployed = digest;
    }
    stack.file.write(layout)?;
    onboard::demo(&mut stack, layout, vehicles, console).await?;
    stack.file.reference = reference::publish(&stack, layout, console).await;
    stack.file.write(layout)?;
    Ok(stack)
}

/// Runs until it is asked to stop.
async fn serve(
    stack: &Stack,
    layout: &Layout,
    endpoint: &mut Endpoint,
    interrupt: &mut Interrupt,
    options: &args::Up,
) -> Result<()> {
    let way = Arc::new(Way::http(Arc::new(stack.client(&stack.file.demo.ingest_client_id).await?)));
    let vids = stack
        .file
        .demo
        .vehicles
        .iter()
        .filter_map(|(key, vid)| {
            let (scheme, value) = key.split_once(':')?;
            Some((VehicleKey { scheme: scheme.to_owned(), value: value.to_owned() }, vid.clone()))
        })
        .collect();
    let vehicles = usize::from(options.vehicles);
    let config = SimConfig { vehicles, source: onboard::SIMULATOR_SOURCE.to_owned(), ..SimConfig::default() };
    let drive = Drive { config, rate: 1.0, duration: None };
    let simulating = async {
        if options.no_simulate {
            std::future::pending::<()>().await;
        }
        drive.run(&way, &vids, &mut Sent::default(), None).await;
    };
    tokio::select! {
        () = interrupt.wait() => Ok(()),
        () = simulating => Ok(()),
        status = endpoint.ended() => {
            bail!("the local AWS endpoint ended ({status}); its log is {}", layout.endpoint_log().display())
        }
    }
}

async fn stop(layout: &Layout, endpoint: &mut Endpoint, console: &Console) {
    let step = console.step("Stopping");
    endpoint.stop().await;
    RunFile::remove(layout);
    step.done("everything has stopped, and the data is kept");
}

fn interrupted() -> ExitCode {
    note("Interrupted; nothing runs.");
    ExitCode::from(130)
}

/// Simulated vehicles as a process of their own, which `down` stops.
fn spawn_simulator(layout: &Layout, options: &args::Up) -> Result<Leader> {
    use std::os::unix::process::CommandExt as _;

    let log = File::create(layout.simulator_log()).context("cannot write the simulator's log")?;
    let child = std::process::Command::new(std::env::current_exe()?)
        .arg("--dir")
        .arg(layout.dir())
        .args(["simulate", "--vehicles", &options.vehicles.to_string()])
        .current_dir(layout.root())
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .spawn()
        .context("cannot start the simulated vehicles")?;
    Leader::of(child.id())
}

/// A stack in the background is left alone; one whose foreground was killed is stopped, so that it writes down its data.
async fn end_what_a_crash_left(layout: &Layout) -> Result<()> {
    let Some(run) = RunFile::read(layout)? else { return Ok(()) };
    if run.endpoint.is_alive() && run.foreground.is_none() {
        bail!("a stack runs in the background already: `cargo roadcast status` shows it, `cargo roadcast down` stops it");
    }
    let left = run.endpoint.is_alive();
    for leader in run.simulator.iter().chain([&run.endpoint]) {
        leader.stop(endpoint::PATIENCE).await;
    }
    if left {
        note("Stopped what an earlier run had left behind.");
    }
    RunFile::remove(layout);
    Ok(())
}

fn announce(stack: &Stack, console: &Console, options: &args::Up, began: Instant) -> Result<()> {
    let api = stack.api_url()?;
    let demo = &stack.file.demo;
    let seconds = began.elapsed().as_secs_f64();
    let object = json!({
        "api": api,
        "tokenUrl": stack.token_url(),
        "endpoint": format!("http://127.0.0.1:{}", stack.file.port),
        "port": stack.file.port,
        "reference": stack.file.reference,
        "fleetId": demo.fleet_id,
        "vehicles": demo.vehicles,
        "seconds": seconds,
    });
    let vid = demo.vehicles.values().next().map_or("VID", String::as_str);
    let stop = if options.detach { "`cargo roadcast down` stops it" } else { "Ctrl-C stops it" };
    let text = format!(
        "
Roadcast runs, after {seconds:.0} s; {stop}.

  API        {api}
  Reference  {reference}
  Tokens     {token_url}
  Fleet      {fleet_id} (Demo fleet)
  More, with fresh tokens: cargo roadcast status

Try next, in another terminal:
  cargo roadcast tail --fleet {fleet_id}
  TOKEN=$(cargo roadcast --json status | python3 -c 'import json,sys; print(json.load(sys.stdin)[\"tokens\"][\"admin\"])')
  curl -H \"Authorization: Bearer $TOKEN\" {api}/vehicles
  curl -H \"Authorization: Bearer $TOKEN\" {api}/vehicles/{vid}/state
",
        reference = stack.file.reference.as_deref().unwrap_or("left out, see above"),
        token_url = stack.token_url(),
        fleet_id = demo.fleet_id,
    );
    console.result(&object, &text)
}
