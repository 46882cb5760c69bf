//! Stops the stack on Ctrl-C and on other signals that ask the process to exit.

use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use crate::shared::Shared;

/// The exit code after a signal, as of a shell after Ctrl-C.
const INTERRUPTED: i32 = 130;

/// On SIGINT, SIGTERM or SIGHUP, stops the stack and exits.
pub(crate) fn exit_on_signal(shared: Arc<Shared>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let [mut interrupt, mut terminate, mut hangup] = {
        let _context = runtime.enter();
        [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()]
            .map(|kind| signal(kind).expect("signals can be received"))
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
        });
        eprintln!("interrupted: stopping the stack");
        if let Err(error) = shared.stop() {
            eprintln!("the stack was not stopped: {error}");
        }
        std::process::exit(INTERRUPTED);
    });
}
