//! An attribute that cannot be read gives one error, and none where the function is called.
use durable::prelude::*;

#[activity(start_to_close "30s")]
async fn no_equals(State(pool): State<String>, x: u8) -> Result<u8, String> {
    Ok(x + pool.len() as u8)
}

#[activity(retry = )]
async fn no_value(x: u8) -> Result<u8, String> {
    Ok(x)
}

#[activity(at_most_once retry = never())]
async fn no_comma(x: u8) -> Result<u8, String> {
    Ok(x)
}

#[activity("30s")]
async fn no_key(x: u8) -> Result<u8, String> {
    Ok(x)
}

#[activity(nam = format!("generic-{N}"))]
async fn generic<const N: usize>(x: u8) -> Result<u8, String> {
    Ok(x)
}

#[workflow(version = 2, alow(clock), name = "late")]
async fn allowed(x: u64) -> Result<u64, String> {
    Ok(x + std::time::Instant::now().elapsed().as_secs())
}

#[workflow]
async fn caller() -> durable::Result<u64> {
    let x = no_equals(1).await? + no_value(2).await? + no_comma(3).await? + no_key(4).await?;
    Ok(allowed(u64::from(x + generic::<4>(x).await?)).await?)
}

fn main() {
    let _ = durable::Registry::of((caller, allowed, generic::<4>, no_equals, no_value, no_comma, no_key));
}
