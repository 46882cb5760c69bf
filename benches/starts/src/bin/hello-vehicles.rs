//! A function with the clients of `vehicles-api`, created as the documentation of the SDK shows.

use aws_config::BehaviorVersion;
use lambda_http::Error;
use roadcast_bench_starts::{get_item, get_secret, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let config = aws_config::load_defaults(BehaviorVersion::latest()).await;
    let table = &aws_sdk_dynamodb::Client::new(&config);
    let secrets = &aws_sdk_secretsmanager::Client::new(&config);
    serve(|path| async move { if path.ends_with("/secret") { get_secret(secrets).await } else { get_item(table).await } })
        .await
}
