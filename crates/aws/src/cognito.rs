//! Cognito adapter: app clients of the user pool.

mod app_clients;

pub use app_clients::CognitoAppClients;
