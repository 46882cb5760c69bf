//! The stack of a command: a local one, with its files, processes and deployment, or a deployed one.

pub(crate) mod build;
pub(crate) mod demo_fleet;
pub(crate) mod deploy;
pub(crate) mod deployed;
pub(crate) mod endpoint;
pub(crate) mod gateway;
pub(crate) mod incident_endpoint;
pub(crate) mod moved_port;
pub(crate) mod package;
pub(crate) mod process;
pub(crate) mod recovery;
pub(crate) mod reference;
pub(crate) mod state;
pub(crate) mod template;
pub(crate) mod tool_clients;
pub(crate) mod venv;

use anyhow::{Context as _, Result, bail};
use aws_config::SdkConfig;
use aws_sdk_cognitoidentityprovider::operation::describe_user_pool_client::DescribeUserPoolClientError;

use crate::api::{Api, Credentials};
use crate::aws;
use crate::layout::Layout;
use crate::location::{DeployedStack, StackLocation};
use state::{RunFile, StackFile};

/// The credentials of the admin that uses a deployed stack, instead of the admin client of the template.
const CLIENT_ID: &str = "ROADCAST_CLIENT_ID";
const CLIENT_SECRET: &str = "ROADCAST_CLIENT_SECRET";

/// A running stack.
pub(crate) struct Stack {
    /// The recorded state of the stack. Of a deployed stack, only the outputs are known.
    pub(crate) file: StackFile,
    /// The configuration of SDK clients.
    pub(crate) config: SdkConfig,
    place: Place,
}

/// Where the stack is.
enum Place {
    Local(Layout),
    Deployed(DeployedStack),
}

impl Stack {
    /// Opens the stack of a command. Fails if the local stack is not running, or if the deployed one cannot be read.
    pub(crate) async fn open(location: &StackLocation) -> Result<Self> {
        match location {
            StackLocation::Local { dir } => Self::open_local(&Layout::find(dir.clone())?),
            StackLocation::Deployed(stack) => {
                let config = aws::deployed(stack).await?;
                let outputs = deployed::outputs(&config, stack).await?;
                let file = StackFile { outputs, ..StackFile::default() };
                Ok(Self { file, config, place: Place::Deployed(stack.clone()) })
            }
        }
    }

    /// The running stack of a folder. Fails if none is running or deployed.
    fn open_local(layout: &Layout) -> Result<Self> {
        let start = layout.command("up");
        let running = RunFile::read(layout)?.is_some_and(|run| run.endpoint.is_alive());
        if !running {
            bail!(
                "no stack is running in {}: start it with `{start}`, or name one on AWS with --stack-name",
                layout.dir().display()
            );
        }
        let file = StackFile::read(layout)?.unwrap_or_default();
        if file.outputs.is_empty() {
            bail!("the stack in {} is not deployed: start it with `{start}`", layout.dir().display());
        }
        Ok(Self::local(layout, file))
    }

    /// A local stack whose endpoint runs, in whatever state its deployment is.
    pub(crate) fn local(layout: &Layout, file: StackFile) -> Self {
        Self { config: aws::local(file.port), file, place: Place::Local(layout.clone()) }
    }

    /// The folder of a local stack; None of a deployed one.
    pub(crate) fn layout(&self) -> Option<&Layout> {
        match &self.place {
            Place::Local(layout) => Some(layout),
            Place::Deployed(_) => None,
        }
    }

    /// The name and the profile of a deployed stack; None of a local one.
    pub(crate) fn deployed(&self) -> Option<&DeployedStack> {
        match &self.place {
            Place::Local(_) => None,
            Place::Deployed(stack) => Some(stack),
        }
    }

    /// Whether the stack is a deployed one.
    pub(crate) fn is_deployed(&self) -> bool {
        self.deployed().is_some()
    }

    /// The stack in a sentence.
    pub(crate) fn name(&self) -> String {
        match &self.place {
            Place::Local(_) => "the local stack".to_owned(),
            Place::Deployed(stack) => format!("the stack {}", stack.name),
        }
    }

    /// The stage of the stack; empty if it is not deployed yet.
    pub(crate) fn stage(&self) -> &str {
        self.file.outputs.get("RestApiStage").map_or("", String::as_str)
    }

    /// An output of the template.
    pub(crate) fn output(&self, name: &str) -> Result<&str> {
        let advice = match &self.place {
            Place::Local(layout) => format!("run `{}`", layout.command("up")),
            Place::Deployed(_) => "run `sam build` and `sam deploy`".to_owned(),
        };
        let found = self.file.outputs.get(name).map(String::as_str);
        found.with_context(|| format!("{} has no output {name}: {advice} to deploy the current template", self.name()))
    }

    /// Records the state of a local stack. A deployed stack has none on this machine.
    pub(crate) fn save(&self) -> Result<()> {
        self.layout().map_or(Ok(()), |layout| self.file.write(layout))
    }

    /// Where to find the log of a function, whose name is without the prefix of the stack.
    pub(crate) fn log_of(&self, function: &str) -> String {
        match &self.place {
            Place::Local(layout) => format!("the log {}", layout.endpoint_log().display()),
            Place::Deployed(_) => format!("the log group /aws/lambda/roadcast-{}-{function}", self.stage()),
        }
    }

    /// The URL of the local AWS endpoint; None of a deployed stack.
    pub(crate) fn endpoint_url(&self) -> Option<String> {
        self.layout().map(|_| format!("http://127.0.0.1:{}", self.file.port))
    }

    /// The URL of the HTTP API.
    pub(crate) fn api_url(&self) -> Result<String> {
        match &self.place {
            Place::Local(_) => {
                let (id, stage) = (self.output("RestApiId")?, self.output("RestApiStage")?);
                Ok(format!("http://127.0.0.1:{}/restapis/{id}/{stage}/_user_request_", self.file.port))
            }
            Place::Deployed(stack) => address(stack.api_url.as_deref(), self.output("ApiUrl")),
        }
    }

    /// The URL of the token endpoint.
    pub(crate) fn token_url(&self) -> Result<String> {
        match &self.place {
            Place::Local(_) => Ok(format!("http://127.0.0.1:{}/oauth2/token", self.file.port)),
            Place::Deployed(stack) => address(stack.token_url.as_deref(), self.output("TokenUrl")),
        }
    }

    /// The API as an admin: of a deployed stack, the client of the environment if it names one, otherwise the admin client of
    /// the template.
    pub(crate) async fn admin(&self) -> Result<Api> {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        match variable(CLIENT_ID).zip(variable(CLIENT_SECRET)) {
            Some((client_id, client_secret)) if self.is_deployed() => self.api(Credentials { client_id, client_secret }),
            _ => self.client(self.output("AdminClientId")?).await,
        }
    }

    /// The API as a client of the user pool.
    pub(crate) async fn client(&self, client_id: &str) -> Result<Api> {
        let credentials = self.credentials(client_id).await?;
        self.api(credentials.with_context(|| {
            format!("the user pool has no client {client_id}: list the clients with `cargo roadcast clients list`")
        })?)
    }

    fn api(&self, credentials: Credentials) -> Result<Api> {
        Api::new(self.api_url()?, self.token_url()?, credentials, self.is_deployed())
    }

    /// The credentials of a client; None if it does not exist. Secrets are stored only in the user pool.
    pub(crate) async fn credentials(&self, client_id: &str) -> Result<Option<Credentials>> {
        let response = aws_sdk_cognitoidentityprovider::Client::new(&self.config)
            .describe_user_pool_client()
            .user_pool_id(self.output("UserPoolId")?)
            .client_id(client_id)
            .send()
            .await;
        let is_absent = |error: &DescribeUserPoolClientError| error.is_resource_not_found_exception();
        let client = match response {
            Ok(response) => response.user_pool_client,
            Err(error) if error.as_service_error().is_some_and(is_absent) => None,
            Err(error) => {
                return Err(error).context(
                    "cannot read the secret of the client from the user pool, which requires the right \
                     cognito-idp:DescribeUserPoolClient",
                );
            }
        };
        let secret = client.as_ref().and_then(|client| client.client_secret());
        Ok(secret.map(|secret| Credentials { client_id: client_id.to_owned(), client_secret: secret.to_owned() }))
    }
}

/// The address of an option, or else that of an output.
fn address(option: Option<&str>, output: Result<&str>) -> Result<String> {
    option.map_or_else(|| output.map(str::to_owned), |address| Ok(address.to_owned()))
}
