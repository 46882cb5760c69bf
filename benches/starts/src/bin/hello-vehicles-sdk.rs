//! A function with the clients of `vehicles-api`, created as `vehicles-api` creates them.

use lambda_http::Error;
use roadcast_aws::Sdk;
use roadcast_bench_starts::{get_item, get_secret, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let sdk = Sdk::load().await;
    let (table, secrets) = (&sdk.dynamodb(), &sdk.secrets_manager());
    serve(|path| async move { if path.ends_with("/secret") { get_secret(secrets).await } else { get_item(table).await } })
        .await
}
