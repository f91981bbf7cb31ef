//! A future that is not Send: the local and the await are named.
use std::rc::Rc;

use durable::prelude::*;

#[activity]
async fn fetch(x: u8) -> Result<u8, String> {
    Ok(x)
}

#[workflow]
async fn holds() -> durable::Result<u8> {
    let shared = Rc::new(1);
    let x = fetch(1).await?;
    Ok(x + *shared)
}

#[activity]
async fn holds_too() -> durable::Result<u8> {
    let shared = Rc::new(1);
    std::future::ready(()).await;
    Ok(*shared)
}

fn main() {}
