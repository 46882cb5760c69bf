//! Where the stack of a command is: on this machine, or deployed on AWS.

use std::path::PathBuf;

use anyhow::{Result, bail, ensure};

use crate::layout::{Layout, shell_word};

/// The environment variables of the options below.
const DIR: &str = "ROADCAST_DIR";
const STACK_NAME: &str = "ROADCAST_STACK_NAME";
const API_URL: &str = "ROADCAST_API_URL";
const TOKEN_URL: &str = "ROADCAST_TOKEN_URL";

/// The options that choose the stack. Every command accepts them.
///
/// They read the environment in [`StackLocation::choose`], not by clap: an option must override the variables of both places.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Stack")]
pub(crate) struct LocationArgs {
    #[arg(long, global = true, value_name = "FOLDER", conflicts_with = "stack_name", help = DIR_HELP)]
    dir: Option<PathBuf>,
    #[arg(long, global = true, value_name = "NAME", help = STACK_NAME_HELP)]
    stack_name: Option<String>,
    #[arg(long, global = true, value_name = "REGION", help = REGION_HELP)]
    region: Option<String>,
    #[arg(long, global = true, value_name = "PROFILE", help = PROFILE_HELP)]
    profile: Option<String>,
    #[arg(long, global = true, value_name = "URL", hide_short_help = true, help = API_URL_HELP)]
    api_url: Option<String>,
    #[arg(long, global = true, value_name = "URL", hide_short_help = true, help = TOKEN_URL_HELP)]
    token_url: Option<String>,
}

const DIR_HELP: &str =
    "Folder of a local stack; each folder is a separate stack [env: ROADCAST_DIR] [default: .roadcast in the workspace]";
const STACK_NAME_HELP: &str = "Use this CloudFormation stack instead of the local one [env: ROADCAST_STACK_NAME]";
const REGION_HELP: &str = "Region of the deployed stack [default: AWS_REGION, or that of the profile]";
const PROFILE_HELP: &str = "Profile with the AWS credentials [default: AWS_PROFILE, or `default`]";
const API_URL_HELP: &str = "Address of the deployed API [env: ROADCAST_API_URL] [default: the stack output ApiUrl]";
const TOKEN_URL_HELP: &str = "Address of the token endpoint [env: ROADCAST_TOKEN_URL] [default: the stack output TokenUrl]";

/// Where a stack is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StackLocation {
    /// On this machine, with its state in a folder. `None` is the default folder.
    Local { dir: Option<PathBuf> },
    /// On AWS, or on an endpoint that is addressed like AWS.
    Deployed(DeployedStack),
}

/// A stack on AWS. What is `None` comes from the AWS configuration, or from the outputs of the stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeployedStack {
    pub(crate) name: String,
    pub(crate) region: Option<String>,
    pub(crate) profile: Option<String>,
    pub(crate) api_url: Option<String>,
    pub(crate) token_url: Option<String>,
}

impl StackLocation {
    /// Chooses the stack. An option overrides the environment; without both, it is the local stack of the workspace. Fails if the
    /// environment names two stacks, or if an option is only for deployed stacks and none is named.
    pub(crate) fn choose(args: LocationArgs, environment: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let variable = |name| environment(name).filter(|value| !value.is_empty());
        let local_dir = variable(DIR);
        let name = match (args.stack_name, &args.dir) {
            (Some(name), _) => Some(name),
            (None, Some(_)) => None,
            (None, None) => variable(STACK_NAME)
                .map(|name| {
                    let is_clear = local_dir.is_none();
                    ensure!(
                        is_clear,
                        "{DIR} and {STACK_NAME} name two stacks: unset one of them, or pass --dir or --stack-name"
                    );
                    Ok(name)
                })
                .transpose()?,
        };
        let Some(name) = name else {
            let options = [("--region", &args.region), ("--profile", &args.profile)];
            let addresses = [("--api-url", &args.api_url), ("--token-url", &args.token_url)];
            if let Some((option, _)) = options.into_iter().chain(addresses).find(|(_, value)| value.is_some()) {
                bail!("{option} is for a deployed stack: add --stack-name NAME, or set {STACK_NAME}");
            }
            return Ok(Self::Local { dir: args.dir.or_else(|| local_dir.map(PathBuf::from)) });
        };
        Ok(Self::Deployed(DeployedStack {
            name,
            region: args.region,
            profile: args.profile,
            api_url: args.api_url.or_else(|| variable(API_URL)).map(|url| without_slash(&url)),
            token_url: args.token_url.or_else(|| variable(TOKEN_URL)),
        }))
    }

    /// The folder of the local stack. Fails for a deployed one, on which `command` is not possible.
    pub(crate) fn local(&self, command: &str) -> Result<Layout> {
        match self {
            Self::Local { dir } => Layout::find(dir.clone()),
            Self::Deployed(DeployedStack { name, .. }) => bail!(
                "`{command}` is for the local stack, and {name} is deployed: remove --stack-name or unset {STACK_NAME}. \
                 docs/operations/first-deploy.md describes how to deploy and change a stack on AWS"
            ),
        }
    }

    /// The command line of the tool for this stack, such as `cargo roadcast --stack-name roadcast-dev doctor`.
    pub(crate) fn command(&self, arguments: &str) -> String {
        match self {
            Self::Local { dir } => Layout::find(dir.clone())
                .map_or_else(|_| format!("cargo roadcast {arguments}"), |layout| layout.command(arguments)),
            Self::Deployed(stack) => {
                let mut command = format!("cargo roadcast --stack-name {}", shell_word(&stack.name));
                for (option, value) in [("region", &stack.region), ("profile", &stack.profile)] {
                    if let Some(value) = value {
                        command = format!("{command} --{option} {}", shell_word(value));
                    }
                }
                format!("{command} {arguments}")
            }
        }
    }
}

fn without_slash(url: &str) -> String {
    url.trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn choose(args: LocationArgs, environment: &[(&str, &str)]) -> Result<StackLocation, String> {
        let find = |name: &str| {
            let found = environment.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        StackLocation::choose(args, find).map_err(|error| error.to_string())
    }

    fn named(name: &str) -> LocationArgs {
        LocationArgs { stack_name: Some(name.to_owned()), ..LocationArgs::default() }
    }

    fn is_deployed(location: &StackLocation, expected: &str) -> bool {
        matches!(location, StackLocation::Deployed(DeployedStack { name, .. }) if name == expected)
    }

    #[test]
    fn local_stack_is_the_default() {
        assert_eq!(choose(LocationArgs::default(), &[]).unwrap(), StackLocation::Local { dir: None });
        assert_eq!(choose(LocationArgs::default(), &[(STACK_NAME, "")]).unwrap(), StackLocation::Local { dir: None });
        let dir = Some(PathBuf::from("/tmp/b"));
        assert_eq!(choose(LocationArgs::default(), &[(DIR, "/tmp/b")]).unwrap(), StackLocation::Local { dir });
    }

    #[test]
    fn option_overrides_the_environment_of_the_other_place() {
        assert!(is_deployed(&choose(LocationArgs::default(), &[(STACK_NAME, "a")]).unwrap(), "a"));
        assert!(is_deployed(&choose(named("b"), &[(STACK_NAME, "a"), (DIR, "/tmp/b")]).unwrap(), "b"));
        let local = LocationArgs { dir: Some("/tmp/b".into()), ..LocationArgs::default() };
        assert!(matches!(choose(local, &[(STACK_NAME, "a")]).unwrap(), StackLocation::Local { .. }));
    }

    #[test]
    fn ambiguous_environment_is_an_error() {
        let error = choose(LocationArgs::default(), &[(STACK_NAME, "a"), (DIR, "/tmp/b")]).unwrap_err();
        assert!(error.contains("unset one of them"), "{error}");
    }

    #[test]
    fn option_of_a_deployed_stack_requires_its_name() {
        let args = LocationArgs { region: Some("eu-west-1".to_owned()), ..LocationArgs::default() };
        let error = choose(args.clone(), &[]).unwrap_err();
        assert!(error.contains("--region") && error.contains("--stack-name"), "{error}");
        assert!(is_deployed(&choose(args, &[(STACK_NAME, "a")]).unwrap(), "a"));
    }

    #[test]
    fn command_of_a_deployed_stack_names_it() {
        let args = LocationArgs { profile: Some("of us".to_owned()), region: Some("eu-west-1".to_owned()), ..named("a") };
        let location = choose(args, &[(API_URL, "https://api.example.com/")]).unwrap();
        assert_eq!(location.command("doctor"), "cargo roadcast --stack-name a --region eu-west-1 --profile 'of us' doctor");
        assert!(location.local("down").unwrap_err().to_string().contains("`down` is for the local stack"));
        let StackLocation::Deployed(stack) = location else { return };
        assert_eq!(stack.api_url.as_deref(), Some("https://api.example.com"));
    }
}
