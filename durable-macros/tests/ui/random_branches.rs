//! Branches are not taken at random in a workflow.
use durable::prelude::*;

#[activity]
async fn fetch(x: u8) -> Result<u8, String> {
    Ok(x)
}

#[workflow]
async fn random() -> durable::Result<u8> {
    let first = tokio::select! {
        x = fetch(1) => x?,
        x = fetch(2) => x?,
    };
    if first == 1 {
        return Ok(::futures::select! { x = futures::future::ready(3) => x });
    }
    let biased = tokio::select! {
        biased;
        x = fetch(1) => x?,
        x = fetch(2) => x?,
    };
    Ok(biased)
}

fn main() {}
