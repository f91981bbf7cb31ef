//! Arguments can be recorded.
use durable::prelude::*;

struct Plain;

#[activity]
async fn takes(plain: Plain) -> Result<u8, String> {
    let _ = plain;
    Ok(1)
}

#[workflow]
async fn takes_another(first: u8, plain: Plain, last: Vec<std::thread::JoinHandle<()>>) -> Result<u8, String> {
    let _ = (plain, last);
    Ok(first)
}

#[activity(name = "generic")]
async fn unbound<T: Send>(value: T) -> Result<u8, String> {
    let _ = value;
    Ok(1)
}

#[activity]
async fn gives() -> Result<Plain, String> {
    Ok(Plain)
}

fn main() {}
