//! The local stack: its files, its processes and its deployment.

pub(crate) mod build;
pub(crate) mod demo_fleet;
pub(crate) mod deploy;
pub(crate) mod endpoint;
pub(crate) mod gateway;
pub(crate) mod layout;
pub(crate) mod package;
pub(crate) mod process;
pub(crate) mod recovery;
pub(crate) mod reference;
pub(crate) mod state;
pub(crate) mod template;
pub(crate) mod venv;

use anyhow::{Context as _, Result, bail};
use aws_config::SdkConfig;

use crate::api::{Api, Credentials};
use crate::aws;
use layout::Layout;
use state::{RunFile, StackFile};

/// A running stack.
pub(crate) struct Stack {
    /// The recorded state of the stack.
    pub(crate) file: StackFile,
    /// The configuration of SDK clients.
    pub(crate) config: SdkConfig,
}

impl Stack {
    /// Opens the running stack of a folder. Fails if none is running or deployed.
    pub(crate) fn open(layout: &Layout) -> Result<Self> {
        let start = layout.command("up");
        let running = RunFile::read(layout)?.is_some_and(|run| run.endpoint.is_alive());
        if !running {
            bail!("no stack is running in {}: start it with `{start}`", layout.dir().display());
        }
        let file = StackFile::read(layout)?.unwrap_or_default();
        if file.outputs.is_empty() {
            bail!("the stack in {} is not deployed: start it with `{start}`", layout.dir().display());
        }
        Ok(Self { config: aws::config(file.port), file })
    }

    /// The URL of the HTTP API.
    pub(crate) fn api_url(&self) -> Result<String> {
        let (id, stage) = (self.file.output("RestApiId")?, self.file.output("RestApiStage")?);
        Ok(format!("http://127.0.0.1:{}/restapis/{id}/{stage}/_user_request_", self.file.port))
    }

    /// The URL of the token endpoint.
    pub(crate) fn token_url(&self) -> String {
        format!("http://127.0.0.1:{}/oauth2/token", self.file.port)
    }

    /// The API as the admin client of the template.
    pub(crate) async fn admin(&self) -> Result<Api> {
        self.client(self.file.output("AdminClientId")?).await
    }

    /// The API as a client of the user pool.
    pub(crate) async fn client(&self, client_id: &str) -> Result<Api> {
        let credentials = self.credentials(client_id).await?.with_context(|| {
            format!("the user pool has no client {client_id}: run `cargo roadcast up` to create a new one")
        })?;
        Api::new(self.api_url()?, self.token_url(), credentials)
    }

    /// The credentials of a client; None if it does not exist. Secrets are stored only in the user pool.
    pub(crate) async fn credentials(&self, client_id: &str) -> Result<Option<Credentials>> {
        let response = aws_sdk_cognitoidentityprovider::Client::new(&self.config)
            .describe_user_pool_client()
            .user_pool_id(self.file.output("UserPoolId")?)
            .client_id(client_id)
            .send()
            .await;
        let client = match response {
            Ok(response) => response.user_pool_client,
            Err(error) if error.as_service_error().is_some_and(aws_sdk_cognitoidentityprovider::operation::describe_user_pool_client::DescribeUserPoolClientError::is_resource_not_found_exception) => None,
            Err(error) => return Err(error).context("cannot read the client from the user pool"),
        };
        let secret = client.as_ref().and_then(|client| client.client_secret());
        Ok(secret.map(|secret| Credentials { client_id: client_id.to_owned(), client_secret: secret.to_owned() }))
    }
}
