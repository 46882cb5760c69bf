//! `reference`: writes the files of the API reference page to a folder.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::console::Console;
use crate::layout::Layout;
use crate::location::StackLocation;
use crate::stack::{Stack, reference};

/// Arguments of `reference`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo roadcast reference --out site --api /dev     The page and stage `dev` of the API are served from one origin
  cargo roadcast reference --out site --api https://abc123.execute-api.eu-central-1.amazonaws.com/dev
  cargo roadcast --stack-name roadcast-dev reference --out site     The URL is that of the stack on AWS
  aws s3 sync site s3://BUCKET --cache-control no-cache     BUCKET is the stack output ApiReferenceBucketName

`cargo roadcast up` publishes the same page. npm is required: it downloads Swagger UI once.
The page calls only the origin that serves it. Operations can be called from the page if the API has the same origin;
otherwise the page is read-only.")]
pub(crate) struct ReferenceArgs {
    /// Output folder; created if it does not exist.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: PathBuf,
    /// URL of the API, or a path if page and API have the same origin [default: the URL of the stack].
    #[arg(long, value_name = "URL", value_parser = parse_api_address)]
    pub(crate) api: Option<String>,
}

/// An API address, without a trailing slash.
fn parse_api_address(text: &str) -> Result<String, String> {
    if ["https://", "http://", "/"].iter().any(|start| text.starts_with(start)) {
        let trimmed = text.trim_end_matches('/');
        Ok(if trimmed.is_empty() { text } else { trimmed }.to_owned())
    } else {
        Err("expected a URL such as https://api.example.com/dev, or a path such as /dev".to_owned())
    }
}

pub(crate) async fn run(location: &StackLocation, console: &Console, options: &ReferenceArgs) -> Result<ExitCode> {
    let api = match &options.api {
        Some(api) => api.clone(),
        None => Stack::open(location)
            .await
            .context("without --api, the page is for the API of the stack; pass the URL of another API with --api")?
            .api_url()?,
    };
    // The page is made of files of the workspace, also for a deployed stack.
    let layout = match location {
        StackLocation::Local { dir } => Layout::find(dir.clone())?,
        StackLocation::Deployed(_) => Layout::find(None)?,
    };
    layout.create()?;
    let page_files = reference::page(&layout, &api, console)
        .await?
        .context("npm is not installed: install Node.js, which includes npm, and try again")?;
    let out = &options.out;
    fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
    for file in &page_files {
        let path = out.join(file.name);
        fs::write(&path, &file.bytes).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let files: Vec<&str> = page_files.iter().map(|file| file.name).collect();
    let text = format!("Wrote {} files for the API at {api} to {}", files.len(), out.display());
    console.print_result(&json!({ "out": out, "api": api, "files": files }), &text)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn api_address_has_a_scheme_or_is_a_path() {
        assert_eq!(parse_api_address("https://api.example.com/dev/").unwrap(), "https://api.example.com/dev");
        assert!(parse_api_address("api.example.com").is_err());
    }
}
