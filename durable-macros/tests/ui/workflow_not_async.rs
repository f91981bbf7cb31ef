//! A workflow is an async fn.
use durable::prelude::*;

#[workflow]
fn plain(order: u32) -> Result<u32, String> {
    Ok(order)
}

#[workflow]
async fn caller() -> durable::Result<()> {
    plain(1).await?;
    Ok(())
}

fn main() {}
