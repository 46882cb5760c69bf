//! `completions`: prints the completions of the command line for a shell.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap_complete::Shell;

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo roadcast completions bash >~/.local/share/bash-completion/completions/roadcast
  cargo roadcast completions zsh >~/.zfunc/_roadcast
  cargo roadcast completions fish >~/.config/fish/completions/roadcast.fish

They are for the program `roadcast`: install it with `cargo install --path crates/cli`. `cargo roadcast` itself has no completions,
because Cargo completes only its own commands.")]
pub(crate) struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

/// Prints the completions of `tool`, the entire command line.
pub(crate) fn run(options: &CompletionsArgs, tool: clap::Command) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut tool.bin_name("roadcast"), "roadcast", &mut script);
    std::io::Write::write_all(&mut std::io::stdout().lock(), &script).context("cannot write the completions")?;
    Ok(ExitCode::SUCCESS)
}
