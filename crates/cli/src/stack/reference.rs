//! The API reference: a page that shows the contract and can call the API of the same origin. Swagger UI comes from the npm
//! registry, with the version and digest in docs/reference/package-lock.json.

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
use crate::aws;
use crate::console::{Console, note};
use crate::layout::Layout;

/// The folder of the page's own files in the workspace.
const FOLDER: &str = "docs/reference";
/// The start page.
const INDEX: &str = "index.html";
/// The page's own files.
const OWN_FILES: [&str; 5] = [INDEX, "reference.css", "reference.js", "theme.js", "favicon.svg"];
/// The files of Swagger UI: the name in its package, and the name on the page.
const SWAGGER_UI: [(&str, &str); 5] = [
    ("swagger-ui.css", "swagger-ui.css"),
    ("swagger-ui-bundle.js", "swagger-ui-bundle.js"),
    ("swagger-ui-bundle.js.LICENSE.txt", "swagger-ui-bundle.js.LICENSE.txt"),
    ("LICENSE", "swagger-ui.LICENSE.txt"),
    ("NOTICE", "swagger-ui.NOTICE.txt"),
];
/// The timeout of npm. Without a network it would retry for many minutes.
const INSTALL_TIMEOUT: Duration = Duration::from_mins(3);

/// A file of the page.
pub(crate) struct PageFile {
    pub(crate) name: &'static str,
    pub(crate) bytes: Vec<u8>,
}

/// All files of the page, for the API at an address; None if npm is not installed.
pub(crate) async fn page(layout: &Layout, api: &str, console: &Console) -> Result<Option<Vec<PageFile>>> {
    let Some(swagger_ui) = swagger_ui(layout, console).await? else { return Ok(None) };
    let read = |path: PathBuf| fs::read(&path).with_context(|| format!("cannot read {}", path.display()));
    let contract = read(layout.root().join("openapi.yaml"))?;
    let mut files = vec![PageFile { name: "openapi.json", bytes: published_contract(&contract, api)? }];
    for (source, name) in SWAGGER_UI {
        files.push(PageFile { name, bytes: read(swagger_ui.join(source))? });
    }
    // The start page is last, so that the other files exist when it does.
    for name in OWN_FILES.into_iter().rev() {
        files.push(PageFile { name, bytes: read(layout.root().join(FOLDER).join(name))? });
    }
    Ok(Some(files))
}

/// Uploads the page to the stack's bucket and returns its URL. The page is optional: if it cannot be published, the reason
/// is printed in one line.
pub(crate) async fn publish(stack: &Stack, layout: &Layout, console: &Console) -> Option<String> {
    match upload(stack, layout, console).await {
        Ok(Some(address)) => Some(address),
        Ok(None) => {
            note("The API reference page is not published: npm is not installed.");
            None
        }
        Err(error) => {
            let causes: Vec<String> = error.chain().map(|cause| cause.to_string().replace('\n', " ")).collect();
            note(&format!("The API reference page is not published: {}", causes.join(": ")));
            None
        }
    }
}

async fn upload(stack: &Stack, layout: &Layout, console: &Console) -> Result<Option<String>> {
    let bucket = stack.output("ApiReferenceBucketName")?;
    let Some(files) = page(layout, &stack.api_url()?, console).await? else { return Ok(None) };
    let step = console.step("Publishing the API reference");
    let s3 = aws::s3(&stack.config);
    for PageFile { name, bytes } in files {
        s3.put_object()
            .bucket(bucket)
            .key(name)
            .content_type(content_type(name))
            // The browser must revalidate: the next start may have another API.
            .cache_control("no-cache")
            .body(ByteStream::from(bytes))
            .send()
            .await
            .with_context(|| format!("cannot upload {name}"))?;
    }
    step.finish("published");
    // The endpoint serves buckets and the API on one origin.
    Ok(Some(format!("http://127.0.0.1:{}/{bucket}/{INDEX}", stack.file.port)))
}

/// Installs Swagger UI unless the locked version is installed, and returns its folder; None if npm is not installed.
async fn swagger_ui(layout: &Layout, console: &Console) -> Result<Option<PathBuf>> {
    let own_folder = layout.root().join(FOLDER);
    let folder = layout.swagger_ui();
    let installed = folder.join("node_modules/swagger-ui-dist");
    let stamp = folder.join("roadcast-stamp");
    let lock = own_folder.join("package-lock.json");
    let expected = hex::encode(Sha256::digest(fs::read(&lock).with_context(|| format!("cannot read {}", lock.display()))?));
    let _lock = layout.lock_shared()?;
    if fs::read_to_string(&stamp).is_ok_and(|found| found == expected) && installed.is_dir() {
        return Ok(Some(installed));
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    for name in ["package.json", "package-lock.json"] {
        fs::copy(own_folder.join(name), folder.join(name)).with_context(|| format!("cannot copy {name}"))?;
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
    let output = tokio::time::timeout(INSTALL_TIMEOUT, npm.wait_with_output())
        .await
        .with_context(|| format!("npm did not finish within {} s", INSTALL_TIMEOUT.as_secs()))??;
    if !output.status.success() {
        bail!(
            "npm cannot install Swagger UI: check that the npm registry is reachable. {}",
            first_npm_error(&output.stderr)
        );
    }
    fs::write(&stamp, expected)?;
    step.finish("installed");
    Ok(Some(installed))
}

/// The first error message of npm.
fn first_npm_error(errors: &[u8]) -> String {
    let errors = String::from_utf8_lossy(errors);
    let is_message = |line: &&str| line.starts_with("npm error ") && !line.starts_with("npm error code ");
    errors.lines().find(is_message).unwrap_or_default().trim_start_matches("npm error ").to_owned()
}

/// The contract as JSON, with the address of the API and without the extensions of API Gateway.
fn published_contract(contract: &[u8], api: &str) -> Result<Vec<u8>> {
    let mut document = serde_norway::from_slice(contract).context("openapi.yaml is not YAML")?;
    remove_integrations(&mut document);
    // What is left of the paths that only API Gateway uses.
    if let Some(paths) = document.get_mut("paths").and_then(Yaml::as_mapping_mut) {
        paths.retain(|_, item| !item.as_mapping().is_some_and(Mapping::is_empty));
    }
    let server = Mapping::from_iter([(Yaml::from("url"), Yaml::from(api))]);
    let members = document.as_mapping_mut().context("openapi.yaml is not an object")?;
    members.insert(Yaml::from("servers"), Yaml::Sequence(vec![server.into()]));
    // Serialised from the YAML value, which preserves the order of the contract.
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

/// The media type of a page file.
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
    fn published_contract_has_the_address_and_no_gateway_extensions() {
        let contract = fs::read(format!("{ROOT}/openapi.yaml")).unwrap();
        let text = String::from_utf8(published_contract(&contract, "http://127.0.0.1:1/x").unwrap()).unwrap();
        assert!(!text.contains("x-amazon-") && !text.contains("Fn::"));
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["servers"], json!([{ "url": "http://127.0.0.1:1/x" }]));
        assert_eq!(document["paths"]["/vehicles"]["get"]["operationId"], "listVehicles");
        assert_eq!(document["components"]["securitySchemes"]["cognito"]["type"], "apiKey");
        assert!(document["paths"].get("/{proxy+}").is_none() && document["paths"].get("/").is_none());
    }

    #[test]
    fn order_of_the_contract_is_preserved() {
        let text =
            published_contract(b"{ z: { y: 1, x-amazon-b: 2, a: 3 }, servers: [], b: [{ x-amazon-c: 1 }] }", "/v1").unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), r#"{"z":{"y":1,"a":3},"servers":[{"url":"/v1"}],"b":[{}]}"#);
    }

    #[test]
    fn page_has_every_file_that_it_loads() {
        let index = fs::read_to_string(format!("{ROOT}/{FOLDER}/{INDEX}")).unwrap();
        let page_files: Vec<&str> =
            OWN_FILES.into_iter().chain(SWAGGER_UI.map(|(_, name)| name)).chain(["openapi.json", "#reference"]).collect();
        let loaded = ["src=\"", "href=\""].into_iter().flat_map(|attribute| index.split(attribute).skip(1));
        for file in loaded.filter_map(|rest| rest.split('"').next()) {
            assert!(page_files.contains(&file), "{file}");
        }
        for name in OWN_FILES {
            assert!(Path::new(ROOT).join(FOLDER).join(name).is_file(), "{name}");
        }
    }

    #[test]
    fn npm_error_is_shortened_to_its_first_message() {
        let errors = b"npm warn x\nnpm error code ENOTFOUND\nnpm error network cannot find it\nnpm error more";
        assert_eq!(first_npm_error(errors), "network cannot find it");
        assert_eq!(first_npm_error(b""), "");
    }
}
