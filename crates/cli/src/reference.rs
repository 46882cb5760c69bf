//! `reference`: the API reference as files, for wherever it is to be served from.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::args;
use crate::console::Console;
use crate::stack::layout::Layout;
use crate::stack::{Stack, reference};

pub(crate) async fn run(layout: &Layout, console: &Console, options: &args::Reference) -> Result<ExitCode> {
    let api = match &options.api {
        Some(api) => api.clone(),
        None => Stack::open(layout)
            .context("--api says which API the page is for; without it, that of a stack here")?
            .api_url()?,
    };
    layout.create()?;
    let parts = reference::page(layout, &api, console)
        .await?
        .context("npm, which the page is made with, is not installed: install Node.js and try again")?;
    let out = &options.out;
    fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
    for part in &parts {
        let path = out.join(part.name);
        fs::write(&path, &part.bytes).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let files: Vec<&str> = parts.iter().map(|part| part.name).collect();
    let text = format!("{} files for the API at {api} are in {}", files.len(), out.display());
    console.result(&json!({ "out": out, "api": api, "files": files }), &text)?;
    Ok(ExitCode::SUCCESS)
}
