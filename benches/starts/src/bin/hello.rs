//! A function without clients.

use lambda_http::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    roadcast_bench_starts::serve(|_| async { Ok(()) }).await
}
