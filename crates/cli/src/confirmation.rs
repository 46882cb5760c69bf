//! Asks before a command changes a stack in production.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use anyhow::{Context as _, Result, bail};

use crate::stack::Stack;

/// The stage that is asked for. The template treats it as production, too.
const PRODUCTION: &str = "prod";

/// Whether a command asks.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(crate) struct Confirmation {
    /// Do not ask before the command touches a stack whose stage is `prod`.
    #[arg(long)]
    yes: bool,
}

impl Confirmation {
    /// The user agreed already, or the stack is local.
    pub(crate) const fn given() -> Self {
        Self { yes: true }
    }

    /// Asks before `action` if the stage of the stack is production. Fails if the user does not agree, or cannot be asked.
    pub(crate) fn ask(self, stack: &Stack, action: &str) -> Result<()> {
        if self.yes || stack.stage() != PRODUCTION {
            return Ok(());
        }
        let question = format!("{} has the stage {PRODUCTION}, and this {action}.", stack.name());
        if !std::io::stdin().is_terminal() {
            bail!("{question} Add --yes if this is intended");
        }
        let mut terminal = std::io::stderr().lock();
        write!(terminal, "{question} Continue? [y/N] ").and_then(|()| terminal.flush()).context("cannot ask")?;
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).context("cannot read the answer")?;
        match line.trim() {
            "y" | "Y" | "yes" => Ok(()),
            _ => bail!("nothing was changed"),
        }
    }
}
