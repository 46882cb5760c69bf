//! The credentials of machine clients.

use aws_sdk_cognitoidentityprovider::Client;
use aws_sdk_cognitoidentityprovider::operation::delete_user_pool_client::DeleteUserPoolClientError;
use aws_sdk_cognitoidentityprovider::operation::describe_user_pool_client::DescribeUserPoolClientError;
use aws_sdk_cognitoidentityprovider::types::{ExplicitAuthFlowsType, OAuthFlowType, TimeUnitsType, TokenValidityUnitsType};
use roadcast_domain::caller::Scope;
use roadcast_domain::ids::ClientId;
use roadcast_ports::clients::{AppClients, Credentials};
use roadcast_ports::{PortError, PortErrorKind};

use crate::sdk::LazyClient;
use crate::sdk_error::port_error;

const CREATE: &str = "creating an app client";
const DESCRIBE: &str = "reading an app client";
const LIST: &str = "listing app clients";
const REMOVE: &str = "removing an app client";
/// The maximum page size of `ListUserPoolClients`.
const PAGE_SIZE: i32 = 60;
const MAX_NAME_CHARACTERS: usize = 128;

/// The app clients of a user pool.
#[derive(Clone, Debug)]
pub struct CognitoAppClients {
    client: LazyClient<Client>,
    user_pool_id: String,
}

impl CognitoAppClients {
    /// Creates the adapter for the given user pool.
    pub fn new(client: LazyClient<Client>, user_pool_id: impl Into<String>) -> Self {
        Self { client, user_pool_id: user_pool_id.into() }
    }
}

impl AppClients for CognitoAppClients {
    async fn create(&self, name: &str, scope: Scope) -> Result<Credentials, PortError> {
        let created = self
            .client
            .create_user_pool_client()
            .user_pool_id(&self.user_pool_id)
            .client_name(pool_name(name))
            .generate_secret(true)
            .allowed_o_auth_flows_user_pool_client(true)
            .allowed_o_auth_flows(OAuthFlowType::ClientCredentials)
            .allowed_o_auth_scopes(scope.as_str())
            // Without an explicit flow, the pool allows its default flows for people.
            .explicit_auth_flows(ExplicitAuthFlowsType::AllowRefreshTokenAuth)
            .access_token_validity(scope.token_minutes().into())
            .token_validity_units(TokenValidityUnitsType::builder().access_token(TimeUnitsType::Minutes).build())
            .send()
            .await
            .map_err(|error| port_error(CREATE, error))?
            .user_pool_client;
        let credentials = created.and_then(|created| {
            Some(Credentials { client_id: ClientId::new(created.client_id?), client_secret: created.client_secret? })
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

    async fn find_by_name(&self, name: &str) -> Result<Vec<ClientId>, PortError> {
        let name = pool_name(name);
        let request = self.client.list_user_pool_clients().user_pool_id(&self.user_pool_id).max_results(PAGE_SIZE);
        let mut pages = request.into_paginator().send();
        let mut named = Vec::new();
        while let Some(page) = pages.next().await {
            let clients = page.map_err(|error| port_error(LIST, error))?.user_pool_clients.unwrap_or_default();
            let matching = clients.into_iter().filter(|client| client.client_name.as_ref() == Some(&name));
            named.extend(matching.filter_map(|client| client.client_id.map(ClientId::new)));
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
            result => result.map(|_| ()).map_err(|error| port_error(REMOVE, error)),
        }
    }
}

/// Converts a client's name to the characters that the pool allows, which are too few for people's names. The exact name is
/// stored in `reference`; this one is only shown in the console.
fn pool_name(name: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || " _+=,.@-".contains(c);
    let plain: String = name.chars().take(MAX_NAME_CHARACTERS).map(|c| if allowed(c) { c } else { '-' }).collect();
    if plain.trim().is_empty() { "client".to_owned() } else { plain }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;
    use crate::fake_aws::{FakeAws, Request, Response};

    #[tokio::test]
    async fn tokens_of_admins_are_valid_for_an_hour_and_others_for_a_day() {
        let credentials = json!({"UserPoolClient": {"ClientId": "c", "ClientSecret": "s"}});
        let aws = FakeAws::new(move |_, _: &Request| Response::ok(credentials.clone()));
        let pool = CognitoAppClients::new(aws.sdk().cognito(), "pool");
        for (scope, minutes) in [(Scope::Admin, 60), (Scope::Ingest, 1440), (Scope::Read, 1440)] {
            pool.create("n", scope).await.unwrap();
            let request = aws.requests().pop().unwrap().json();
            assert_eq!(request["AccessTokenValidity"], minutes, "{scope:?}");
            assert_eq!(request["TokenValidityUnits"]["AccessToken"], "minutes");
        }
    }

    #[test]
    fn names_are_reduced_to_what_the_pool_allows() {
        assert_eq!(pool_name("Gateway North, 2"), "Gateway North, 2");
        assert_eq!(pool_name("Gerät/7"), "Ger-t-7");
        assert_eq!(pool_name(" "), "client");
        assert_eq!(pool_name(&"x".repeat(500)).len(), 128);
    }
}
