//! Runs the tool, with its options for a deployed stack.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::fake_aws::{ACCESS_KEY, FakeAws, REGION, STACK_NAME};

/// A folder with an AWS configuration of a profile.
pub(crate) struct Tool {
    folder: PathBuf,
}

impl Tool {
    /// The configuration of the profile `remote`, whose region is another one than that of the options. The endpoint of the profile
    /// is the fake.
    pub(crate) fn new(fake: &FakeAws) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("roadcast-tool-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let config = format!(
            "[profile remote]\nregion = us-east-1\nendpoint_url = http://127.0.0.1:{}\naws_access_key_id = {ACCESS_KEY}\n\
             aws_secret_access_key = secret\n[profile bare]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = secret\n",
            fake.port
        );
        std::fs::write(folder.join("config"), config).unwrap();
        std::fs::write(folder.join("credentials"), "").unwrap();
        std::fs::write(folder.join("trip.csv"), "field,signal,value,delay\ncurrent,Vehicle.Speed,1,0\n").unwrap();
        let rule = r#"{"name": "Lamp on", "severity": "info", "condition": {"milOn": {}}}"#;
        std::fs::write(folder.join("rule.json"), rule).unwrap();
        std::fs::write(folder.join("vehicles.csv"), "fleetId,externalId\n").unwrap();
        Self { folder }
    }

    /// The path of a file in the folder.
    pub(crate) fn file(&self, name: &str) -> String {
        self.folder.join(name).to_str().unwrap().to_owned()
    }

    /// Runs the tool without options for the stack, outside of the workspace.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(arguments, &[])
    }

    /// Runs the tool with environment variables.
    pub(crate) fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_roadcast"))
            .args(arguments)
            .current_dir(&self.folder)
            .env_clear()
            .env("HOME", &self.folder)
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("AWS_CONFIG_FILE", self.folder.join("config"))
            .env("AWS_SHARED_CREDENTIALS_FILE", self.folder.join("credentials"))
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("NO_PROXY", "127.0.0.1")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .output()
            .expect("the tool runs")
    }

    /// Runs the tool for the deployed stack.
    pub(crate) fn deployed(&self, arguments: &[&str]) -> Output {
        let options = ["--stack-name", STACK_NAME, "--region", REGION, "--profile", "remote"];
        self.run(&[&options[..], arguments].concat())
    }

    /// Runs the tool for the deployed stack, and returns its JSON.
    pub(crate) fn json(&self, arguments: &[&str], code: i32) -> Value {
        let output = self.deployed(&[&["--json"][..], arguments].concat());
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", error_of(&output));
        let line = output.stdout.split(|byte| *byte == b'\n').next().unwrap_or_default();
        serde_json::from_slice(line).unwrap_or_else(|error| panic!("{arguments:?} printed no JSON ({error}): {output:?}"))
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// What the tool printed on standard error.
pub(crate) fn error_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What the tool printed on standard output.
pub(crate) fn text_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}
