//! Arguments are plain names.
use durable::prelude::*;

#[activity]
async fn pair((a, b): (u8, u8)) -> Result<u8, String> {
    Ok(a + b)
}

#[activity]
async fn ignored(_: u8) -> Result<u8, String> {
    Ok(1)
}

#[activity]
async fn by_ref(ref name: String) -> Result<u8, String> {
    Ok(name.len() as u8)
}

#[workflow]
async fn caller() -> durable::Result<u8> {
    let sum: u8 = pair((1, 2)).await? + ignored(1).retry(durable::retry::fixed("1s")).await?;
    Ok(sum + by_ref(String::new()).await?)
}

fn main() {}
