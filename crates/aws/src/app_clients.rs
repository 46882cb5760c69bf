//! Machine clients' credentials: Cognito.

use aws_sdk_cognitoidentityprovider::Client;
use aws_sdk_cognitoidentityprovider::operation::delete_user_pool_client::DeleteUserPoolClientError;
use aws_sdk_cognitoidentityprovider::operation::describe_user_pool_client::DescribeUserPoolClientError;
use aws_sdk_cognitoidentityprovider::types::{ExplicitAuthFlowsType, OAuthFlowType, TimeUnitsType, TokenValidityUnitsType};
use roadcast_domain::caller::Scope;
use roadcast_domain::ids::ClientId;
use roadcast_ports::clients::{AppClients, Credentials};
use roadcast_ports::{PortError, PortErrorKind};

use crate::sdk_error::port_error;

const CREATE: &str = "making an app client";
const DESCRIBE: &str = "reading an app client";
const LIST: &str = "listing app clients";
const REMOVE: &str = "removing an app client";
/// The most that a page of clients may hold.
const PAGE: i32 = 60;
const ACCESS_TOKEN_MINUTES: i32 = 60;
const NAME_CHARACTERS: usize = 128;

/// The user pool's app clients.
#[derive(Clone, Debug)]
pub struct CognitoAppClients {
    client: Client,
    user_pool_id: String,
}

impl CognitoAppClients {
    /// The app clients of that pool.
    pub fn new(client: Client, user_pool_id: impl Into<String>) -> Self {
        Self { client, user_pool_id: user_pool_id.into() }
    }
}

impl AppClients for CognitoAppClients {
    async fn create(&self, name: &str, scope: Scope) -> Result<Credentials, PortError> {
        let made = self
            .client
            .create_user_pool_client()
            .user_pool_id(&self.user_pool_id)
            .client_name(pool_name(name))
            .generate_secret(true)
            .allowed_o_auth_flows_user_pool_client(true)
            .allowed_o_auth_flows(OAuthFlowType::ClientCredentials)
            .allowed_o_auth_scopes(scope.as_str())
            // Without any, the pool allows its default flows for people.
            .explicit_auth_flows(ExplicitAuthFlowsType::AllowRefreshTokenAuth)
            .access_token_validity(ACCESS_TOKEN_MINUTES)
            .token_validity_units(TokenValidityUnitsType::builder().access_token(TimeUnitsType::Minutes).build())
            .send()
            .await
            .map_err(|error| port_error(CREATE, error))?
            .user_pool_client;
        let credentials = made.and_then(|made| {
            Some(Credentials { client_id: ClientId::new(made.client_id?), client_secret: made.client_secret? })
        });
        credentials.ok_or_else(|| PortError::new(PortErrorKind::Unavailable, CREATE))
    }

    async fn credentials(&self, client_id: &ClientId) -> Result<Option<Credentials>, PortError> {
        let request = self.client.describe_user_pool_client().user_pool_id(&self.user_pool_id).client_id(client_id.as_str());
        let found = match request.send().await {
            Ok(found) => found.user_pool_client,
            Err(error)
                if error.as_service_error().is_some_and(DescribeUserPoolClientError::is_resource_not_found_exception) =>
            {
                None
            }
            Err(error) => return Err(port_error(DESCRIBE, error)),
        };
        Ok(found.and_then(|found| {
            Some(Credentials { client_id: ClientId::new(found.client_id?), client_secret: found.client_secret? })
        }))
    }

    async fn named(&self, name: &str) -> Result<Vec<ClientId>, PortError> {
        let name = pool_name(name);
        let request = self.client.list_user_pool_clients().user_pool_id(&self.user_pool_id).max_results(PAGE);
        let mut pages = request.into_paginator().send();
        let mut named = Vec::new();
        while let Some(page) = pages.next().await {
            let clients = page.map_err(|error| port_error(LIST, error))?.user_pool_clients.unwrap_or_default();
            let its = clients.into_iter().filter(|client| client.client_name.as_ref() == Some(&name));
            named.extend(its.filter_map(|client| client.client_id.map(ClientId::new)));
        }
        Ok(named)
    }

    async fn remove(&self, client_id: &ClientId) -> Result<(), PortError> {
        let request = self.client.delete_user_pool_client().user_pool_id(&self.user_pool_id).client_id(client_id.as_str());
        match request.send().await {
            Err(error)
                if error.as_service_error().is_some_and(DeleteUserPoolClientError::is_resource_not_found_exception) =>
            {
                Ok(())
            }
            done => done.map(|_| ()).map_err(|error| port_error(REMOVE, error)),
        }
    }
}

/// A client's name as the pool takes it: it allows fewer characters than people's names need. The name itself is kept in
/// `reference`; this one is only for the console.
fn pool_name(name: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || " _+=,.@-".contains(c);
    let plain: String = name.chars().take(NAME_CHARACTERS).map(|c| if allowed(c) { c } else { '-' }).collect();
    if plain.trim().is_empty() { "client".to_owned() } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_to_what_the_pool_takes() {
        assert_eq!(pool_name("Gateway North, 2"), "Gateway North, 2");
        assert_eq!(pool_name("Gerät/7"), "Ger-t-7");
        assert_eq!(pool_name(" "), "client");
        assert_eq!(pool_name(&"x".repeat(500)).len(), 128);
    }
}
