//! The API reference: a page over the contract that calls the stack it is served with. Swagger UI comes from the npm registry,
//! in the version and with the digest that docs/reference/package-lock.json names.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use aws_sdk_s3::primitives::ByteStream;
use serde_norway::{Mapping, Value as Yaml};
use sha2::{Digest as _, Sha256};
use tokio::process::Command;

use super::Stack;
use super::layout::Layout;
use super::venv::hex;
use crate::aws;
use crate::console::{Console, note};

/// Where our own files are, below the workspace.
const FOLDER: &str = "docs/reference";
/// The page that is opened.
const INDEX: &str = "index.html";
/// Our own files.
const OWN: [&str; 5] = [INDEX, "reference.css", "reference.js", "theme.js", "favicon.svg"];
/// Swagger UI's files: what they are called there, and here.
const SWAGGER_UI: [(&str, &str); 5] = [
    ("swagger-ui.css", "swagger-ui.css"),
    ("swagger-ui-bundle.js", "swagger-ui-bundle.js"),
    ("swagger-ui-bundle.js.LICENSE.txt", "swagger-ui-bundle.js.LICENSE.txt"),
    ("LICENSE", "swagger-ui.LICENSE.txt"),
    ("NOTICE", "swagger-ui.NOTICE.txt"),
];
/// How long npm may take. Without a network it would try for many minutes.
const INSTALL_TIME: Duration = Duration::from_mins(3);

/// A file of the page.
pub(crate) struct Part {
    pub(crate) name: &'static str,
    pub(crate) bytes: Vec<u8>,
}

/// The whole page, for the API at that address; nothing where there is no npm.
pub(crate) async fn page(layout: &Layout, api: &str, console: &Console) -> Result<Option<Vec<Part>>> {
    let Some(swagger_ui) = swagger_ui(layout, console).await? else { return Ok(None) };
    let read = |path: PathBuf| fs::read(&path).with_context(|| format!("cannot read {}", path.display()));
    let contract = read(layout.root().join("openapi.yaml"))?;
    let mut parts = vec![Part { name: "openapi.json", bytes: for_readers(&contract, api)? }];
    for (theirs, name) in SWAGGER_UI {
        parts.push(Part { name, bytes: read(swagger_ui.join(theirs))? });
    }
    // The index last: where it is, the rest is too.
    for name in OWN.into_iter().rev() {
        parts.push(Part { name, bytes: read(layout.root().join(FOLDER).join(name))? });
    }
    Ok(Some(parts))
}

/// Puts the page into the stack's bucket, and returns its address. A stack runs without it: what stands in the way is said in
/// a line, and that is all.
pub(crate) async fn publish(stack: &Stack, layout: &Layout, console: &Console) -> Option<String> {
    match put(stack, layout, console).await {
        Ok(Some(address)) => Some(address),
        Ok(None) => {
            note("The API reference page is left out: npm, which it is made with, is not installed.");
            None
        }
        Err(error) => {
            let causes: Vec<String> = error.chain().map(|cause| cause.to_string().replace('\n', " ")).collect();
            note(&format!("The API reference page is left out: {}", causes.join(": ")));
            None
        }
    }
}

async fn put(stack: &Stack, layout: &Layout, console: &Console) -> Result<Option<String>> {
    let bucket = stack.file.output("ApiReferenceBucketName")?;
    let Some(parts) = page(layout, &stack.api_url()?, console).await? else { return Ok(None) };
    let step = console.step("Publishing the API reference");
    let s3 = aws::s3(&stack.config);
    for Part { name, bytes } in parts {
        s3.put_object()
            .bucket(bucket)
            .key(name)
            .content_type(content_type(name))
            // A browser asks each time whether it changed: the next start may have another API.
            .cache_control("no-cache")
            .body(ByteStream::from(bytes))
            .send()
            .await
            .with_context(|| format!("cannot upload {name}"))?;
    }
    step.done("published");
    // The endpoint serves buckets beside the API, so the page calls its own origin.
    Ok(Some(format!("http://127.0.0.1:{}/{bucket}/{INDEX}", stack.file.port)))
}

/// Installs Swagger UI unless it is there in the version that is locked; nothing where there is no npm.
async fn swagger_ui(layout: &Layout, console: &Console) -> Result<Option<PathBuf>> {
    let ours = layout.root().join(FOLDER);
    let folder = layout.swagger_ui();
    let installed = folder.join("node_modules/swagger-ui-dist");
    let stamp = folder.join("roadcast-stamp");
    let lock = ours.join("package-lock.json");
    let wanted = hex(&Sha256::digest(fs::read(&lock).with_context(|| format!("cannot read {}", lock.display()))?));
    let _lock = layout.lock_shared()?;
    if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) && installed.is_dir() {
        return Ok(Some(installed));
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    for name in ["package.json", "package-lock.json"] {
        fs::copy(ours.join(name), folder.join(name)).with_context(|| format!("cannot copy {name}"))?;
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--fetch-retries=1", "--prefix"])
        .arg(&folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let npm = match npm.spawn() {
        Ok(npm) => npm,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).context("cannot start npm"),
    };
    let step = console.step("Installing Swagger UI");
    let output = tokio::time::timeout(INSTALL_TIME, npm.wait_with_output())
        .await
        .with_context(|| format!("npm was not done after {} s", INSTALL_TIME.as_secs()))??;
    if !output.status.success() {
        bail!("npm cannot install Swagger UI; is the npm registry reachable? {}", first_complaint(&output.stderr));
    }
    fs::write(&stamp, wanted)?;
    step.done("installed");
    Ok(Some(installed))
}

/// What npm says first about what went wrong.
fn first_complaint(errors: &[u8]) -> String {
    let errors = String::from_utf8_lossy(errors);
    let said = |line: &&str| line.starts_with("npm error ") && !line.starts_with("npm error code ");
    errors.lines().find(said).unwrap_or_default().trim_start_matches("npm error ").to_owned()
}

/// The contract as its readers need it: as JSON, with the API's address, and without what only API Gateway reads.
fn for_readers(contract: &[u8], api: &str) -> Result<Vec<u8>> {
    let mut document = serde_norway::from_slice(contract).context("openapi.yaml is not YAML")?;
    remove_integrations(&mut document);
    let server = Mapping::from_iter([(Yaml::from("url"), Yaml::from(api))]);
    let members = document.as_mapping_mut().context("openapi.yaml is no object")?;
    members.insert(Yaml::from("servers"), Yaml::Sequence(vec![server.into()]));
    // Written from the YAML as it is, which keeps the order that the contract is meant to be read in.
    serde_json::to_vec(&document).context("openapi.yaml cannot be written as JSON")
}

fn remove_integrations(node: &mut Yaml) {
    match node {
        Yaml::Mapping(members) => {
            members.retain(|name, _| !name.as_str().is_some_and(|name| name.starts_with("x-amazon-")));
            members.values_mut().for_each(remove_integrations);
        }
        Yaml::Sequence(items) => items.iter_mut().for_each(remove_integrations),
        _ => {}
    }
}

/// The media type of a file of the page.
fn content_type(name: &str) -> &'static str {
    match Path::new(name).extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("json") => "application/json",
        Some("svg") => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::{Value, json};

    const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

    #[test]
    fn readers_get_the_contract_with_the_stacks_address_and_without_what_api_gateway_reads() {
        let contract = fs::read(format!("{ROOT}/openapi.yaml")).unwrap();
        let text = String::from_utf8(for_readers(&contract, "http://127.0.0.1:1/x").unwrap()).unwrap();
        assert!(!text.contains("x-amazon-") && !text.contains("Fn::"));
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["servers"], json!([{ "url": "http://127.0.0.1:1/x" }]));
        assert_eq!(document["paths"]["/vehicles"]["get"]["operationId"], "listVehicles");
        assert_eq!(document["components"]["securitySchemes"]["cognito"]["type"], "apiKey");
    }

    #[test]
    fn the_order_of_the_contract_is_kept() {
        let text = for_readers(b"{ z: { y: 1, x-amazon-b: 2, a: 3 }, servers: [], b: [{ x-amazon-c: 1 }] }", "/v1").unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), r#"{"z":{"y":1,"a":3},"servers":[{"url":"/v1"}],"b":[{}]}"#);
    }

    #[test]
    fn every_file_that_the_page_loads_is_a_part_of_it() {
        let index = fs::read_to_string(format!("{ROOT}/{FOLDER}/{INDEX}")).unwrap();
        let known: Vec<&str> =
            OWN.into_iter().chain(SWAGGER_UI.map(|(_, name)| name)).chain(["openapi.json", "#reference"]).collect();
        let loaded = ["src=\"", "href=\""].into_iter().flat_map(|attribute| index.split(attribute).skip(1));
        for file in loaded.filter_map(|rest| rest.split('"').next()) {
            assert!(known.contains(&file), "{file}");
        }
        for name in OWN {
            assert!(Path::new(ROOT).join(FOLDER).join(name).is_file(), "{name}");
        }
    }

    #[test]
    fn npms_complaint_is_told_in_a_line() {
        let errors = b"npm warn x\nnpm error code ENOTFOUND\nnpm error network cannot find it\nnpm error more";
        assert_eq!(first_complaint(errors), "network cannot find it");
        assert_eq!(first_complaint(b""), "");
    }
}
