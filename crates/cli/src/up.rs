//! `up`: starts the local stack, from an empty folder to events in the demo fleet's feed.

use std::fs::File;
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use roadcast_traces::VehicleKey;
use roadcast_traces::simulate::SimConfig;
use serde_json::json;

use crate::console::{Console, note};
use crate::layout::Layout;
use crate::shutdown::ShutdownSignal;
use crate::simulator::transport::Transport;
use crate::simulator::{Simulation, SimulationCounts};
use crate::stack::endpoint::{self, Endpoint};
use crate::stack::process::ProcessHandle;
use crate::stack::state::{RunFile, StackFile};
use crate::stack::{
    Stack, build, demo_fleet, deploy, gateway, incident_endpoint, moved_port, package, recovery, reference, template,
    tool_clients, venv,
};

pub(crate) const DEFAULT_PORT: u16 = 4566;

/// Arguments of `up`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo roadcast up                  Run until Ctrl-C
  cargo roadcast up --detach         Run in the background; `cargo roadcast down` stops it
  cargo roadcast up --fresh          Delete all data of the stack first
  cargo roadcast up --incident-endpoint http://127.0.0.1:8790/incidents     Post notices of the operator's alerts
  cargo roadcast --dir /tmp/b up --port 0 --detach --json     A second stack on a free port, for a script")]
pub(crate) struct UpArgs {
    /// Delete all data of the stack before starting.
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Return as soon as the stack is ready, and leave it running in the background.
    #[arg(long)]
    pub(crate) detach: bool,
    /// Port of the local AWS endpoint; 0 selects a free port [default: the port of the last run, or 4566].
    #[arg(long, value_name = "PORT")]
    pub(crate) port: Option<u16>,
    /// Do not start simulated vehicles.
    #[arg(long)]
    pub(crate) no_simulate: bool,
    /// Post notices of the alerts of the operator's rules to this URL.
    #[arg(long, value_name = "URL", value_parser = incident_endpoint::parse_url)]
    pub(crate) incident_endpoint: Option<reqwest::Url>,
    /// Number of simulated vehicles of the demo fleet.
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) vehicles: u16,
}

pub(crate) async fn run(layout: &Layout, console: &Console, options: UpArgs) -> Result<ExitCode> {
    let began = Instant::now();
    let mut shutdown = ShutdownSignal::listen()?;
    layout.create()?;
    let _lock = layout.lock_stack()?;
    stop_leftover_processes(layout).await?;
    if options.fresh {
        layout.wipe()?;
    }
    let mut file = StackFile::read(layout)?.unwrap_or_default();
    if recovery::move_unsaved(layout)? {
        file = StackFile { port: file.port, ..StackFile::default() };
        file.write(layout)?;
    }
    let default_port = if file.port == 0 { DEFAULT_PORT } else { file.port };
    let port = endpoint::choose_port(options.port.unwrap_or(default_port))?;
    if file.port != port {
        if file.port != 0 {
            moved_port::move_data(&layout.state(), file.port, port)?;
        }
        file.port = port;
        file.write(layout)?;
    }

    // No child process outlives this one before this point. Once the endpoint is started, every exit path stops it.
    let plan = tokio::select! {
        plan = DeploymentPlan::prepare(layout, console) => plan?,
        () = shutdown.recv() => return Ok(report_interruption()),
    };
    let mut endpoint = tokio::select! {
        endpoint = Endpoint::start(layout, &plan.bin, port, console) => endpoint?,
        () = shutdown.recv() => return Ok(report_interruption()),
    };
    let foreground = if options.detach { None } else { Some(ProcessHandle::of(std::process::id())?) };
    let foreground_simulates = foreground.is_some() && !options.no_simulate;
    let run = RunFile { endpoint: endpoint.process.clone(), foreground, foreground_simulates, simulator: None };
    run.write(layout)?;

    let ready = tokio::select! {
        ready = deploy_and_onboard(layout, console, &plan, file, &options) => ready,
        () = shutdown.recv() => Err(anyhow::anyhow!("interrupted")),
        status = endpoint.wait() => {
            Err(anyhow::anyhow!("the local AWS endpoint exited ({status}); see {}", layout.endpoint_log().display()))
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
        let endpoint = endpoint.release();
        RunFile { endpoint, foreground: None, foreground_simulates: false, simulator }.write(layout)?;
        announce(&stack, layout, console, &options, began)?;
        return Ok(ExitCode::SUCCESS);
    }
    announce(&stack, layout, console, &options, began)?;
    let outcome = serve(&stack, layout, &mut endpoint, &mut shutdown, &options).await;
    stop(layout, &mut endpoint, console).await;
    outcome.map(|()| ExitCode::SUCCESS)
}

/// The packaged template and the virtual environment of the endpoint.
struct DeploymentPlan {
    bin: PathBuf,
    packaged: package::PackagedTemplate,
    resources: usize,
}

impl DeploymentPlan {
    async fn prepare(layout: &Layout, console: &Console) -> Result<Self> {
        let bin = venv::ensure(layout, console).await?;
        let path = layout.root().join("template.yaml");
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let template = template::parse(&text)?;
        let functions = build::functions(layout, &template::binaries(&template)?, console).await?;
        let resources = template::resource_count(&template);
        Ok(Self { bin, packaged: package::package(layout, template, &functions)?, resources })
    }
}

/// Deploys the template if it changed, onboards the demo fleet if it is missing, and publishes the API reference.
async fn deploy_and_onboard(
    layout: &Layout,
    console: &Console,
    plan: &DeploymentPlan,
    file: StackFile,
    options: &UpArgs,
) -> Result<Stack> {
    let mut stack = Stack::local(layout, file);
    let digest = deploy::digest(&plan.packaged);
    let deployed = deploy::outputs(&stack.config).await?;
    if let Some(outputs) = deployed.filter(|_| stack.file.deployed == digest) {
        stack.file.outputs = outputs;
        note("Deploying template.yaml: no changes");
    } else {
        stack.file.outputs = deploy::deploy(&stack.config, &plan.packaged, plan.resources, console).await?;
        gateway::set_responses(&stack, layout).await?;
        stack.file.deployed = digest;
    }
    stack.save()?;
    incident_endpoint::set(&stack, options.incident_endpoint.as_ref()).await?;
    demo_fleet::demo(&mut stack, usize::from(options.vehicles), console).await?;
    stack.file.reference = reference::publish(&stack, layout, console).await;
    stack.save()?;
    Ok(stack)
}

/// Simulates vehicles until a shutdown signal arrives or the endpoint exits.
async fn serve(
    stack: &Stack,
    layout: &Layout,
    endpoint: &mut Endpoint,
    shutdown: &mut ShutdownSignal,
    options: &UpArgs,
) -> Result<()> {
    let transport = Arc::new(Transport::http(Arc::new(stack.client(&stack.file.demo.ingest_client_id).await?)));
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
    let config = SimConfig { vehicles, source: tool_clients::SIMULATOR_SOURCE.to_owned(), ..SimConfig::default() };
    let simulation = Simulation { config, rate: 1.0, duration: None };
    let run_simulation = async {
        if options.no_simulate {
            std::future::pending::<()>().await;
        }
        simulation.run(&transport, &vids, &mut SimulationCounts::default(), None).await;
    };
    tokio::select! {
        () = shutdown.recv() => Ok(()),
        () = run_simulation => Ok(()),
        status = endpoint.wait() => {
            bail!("the local AWS endpoint exited ({status}); see {}", layout.endpoint_log().display())
        }
    }
}

async fn stop(layout: &Layout, endpoint: &mut Endpoint, console: &Console) {
    let step = console.step("Stopping");
    endpoint.stop().await;
    RunFile::remove(layout);
    step.finish("all processes are stopped; the data is retained");
}

fn report_interruption() -> ExitCode {
    note("Interrupted. No process is running.");
    ExitCode::from(130)
}

/// Starts the simulated vehicles as a separate process, which `down` stops.
fn spawn_simulator(layout: &Layout, options: &UpArgs) -> Result<ProcessHandle> {
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
    ProcessHandle::of(child.id())
}

/// Stops the processes of a stack whose foreground process was killed, so that the endpoint saves its data. Fails if a stack
/// runs in the background.
async fn stop_leftover_processes(layout: &Layout) -> Result<()> {
    let Some(run) = RunFile::read(layout)? else { return Ok(()) };
    if run.endpoint.is_alive() && run.foreground.is_none() {
        bail!("a stack is already running in the background: stop it with `{}`", layout.command("down"));
    }
    let was_running = run.endpoint.is_alive();
    if let Some(simulator) = &run.simulator {
        simulator.stop(endpoint::STOP_TIMEOUT).await;
    }
    if was_running && let Some(file) = StackFile::read(layout)? {
        endpoint::quiesce(file.port).await;
    }
    run.endpoint.stop(endpoint::STOP_TIMEOUT).await;
    if was_running {
        note("Stopped the processes of an earlier run.");
    }
    RunFile::remove(layout);
    Ok(())
}

fn announce(stack: &Stack, layout: &Layout, console: &Console, options: &UpArgs, began: Instant) -> Result<()> {
    let api = stack.api_url()?;
    let demo = &stack.file.demo;
    let seconds = began.elapsed().as_secs_f64();
    let object = json!({
        "api": api,
        "tokenUrl": stack.token_url()?,
        "endpoint": stack.endpoint_url(),
        "port": stack.file.port,
        "reference": stack.file.reference,
        "fleetId": demo.fleet_id,
        "vehicles": demo.vehicles,
        "seconds": seconds,
    });
    let vid = demo.vehicles.values().next().map_or("VID", String::as_str);
    let stop = if options.detach {
        format!("Stop it with `{}`", layout.command("down"))
    } else {
        "Press Ctrl-C to stop it".to_owned()
    };
    let (status, token) = (layout.command("status"), layout.command("token"));
    let tail = layout.command(&format!("tail --fleet {}", demo.fleet_id));
    let text = format!(
        "
Roadcast is running (started in {seconds:.0} s). {stop}.

  API        {api}
  Reference  {reference}
  Tokens     {token_url}
  Fleet      {fleet_id} (Demo fleet)
  Run `{status}` for more, and `{token}` for a token.

Try next, in another terminal:
  {tail}
  TOKEN=$({token})
  curl -H \"Authorization: Bearer $TOKEN\" {api}/vehicles
  curl -H \"Authorization: Bearer $TOKEN\" {api}/vehicles/{vid}/state
",
        reference = stack.file.reference.as_deref().unwrap_or("not published, see above"),
        token_url = stack.token_url()?,
        fleet_id = demo.fleet_id,
    );
    console.print_result(&object, &text)
}
