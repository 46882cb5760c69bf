//! What the compared functions share: a handler that responds to `/health` without a call, and to any other path after one
//! call to each client that the path names.

use std::future::Future;

use lambda_http::{Body, Error, Request, Response, run, service_fn};

/// Serves requests until the process ends. `call` gets the path of every request except `/health`.
pub async fn serve<Call, Called>(call: Call) -> Result<(), Error>
where
    Call: Fn(String) -> Called + Send + Sync,
    Called: Future<Output = Result<(), Error>> + Send,
{
    let call = &call;
    run(service_fn(|request: Request| async move {
        let path = request.uri().path().to_owned();
        if !path.ends_with("/health") {
            call(path).await?;
        }
        Ok::<_, Error>(Response::new(Body::from(r#"{"status":"ok"}"#)))
    }))
    .await
}

/// One read of a table.
pub async fn get_item(client: &aws_sdk_dynamodb::Client) -> Result<(), Error> {
    let key = aws_sdk_dynamodb::types::AttributeValue::S("k".to_owned());
    client.get_item().table_name("t").key("pk", key).send().await?;
    Ok(())
}

/// One read of a secret.
pub async fn get_secret(client: &aws_sdk_secretsmanager::Client) -> Result<(), Error> {
    client.get_secret_value().secret_id("s").send().await?;
    Ok(())
}
