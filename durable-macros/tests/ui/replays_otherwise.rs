//! What would say something else at replay is not said in a workflow.
use std::time::{Duration, Instant, SystemTime};

use durable::prelude::*;

#[activity]
async fn fetch(x: u64) -> Result<u64, String> {
    Ok(x)
}

#[workflow]
async fn clocks() -> durable::Result<u64> {
    let began = Instant::now();
    fetch(began.elapsed().as_secs()).await?;
    Ok(SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs())
}

#[workflow]
async fn timers() -> durable::Result<u64> {
    tokio::time::sleep(Duration::from_secs(1)).await;
    std::thread::sleep(Duration::from_secs(1));
    let limited = tokio::time::timeout(Duration::from_secs(1), fetch(1)).await;
    Ok(limited??)
}

#[workflow]
async fn tasks() -> durable::Result<u64> {
    let one = tokio::spawn(async { 1 });
    let two = tokio::task::spawn_blocking(|| 2);
    std::thread::spawn(|| ());
    Ok(one.await? + two.await?)
}

#[workflow]
async fn outside() -> durable::Result<u64> {
    use tokio::select;
    let path = std::env::var("HOME")?;
    let len = std::fs::read(path)?.len() as u64;
    Ok(select! {
        x = fetch(len) => x?,
        x = fetch(2) => x?,
    })
}

#[workflow]
async fn input() -> durable::Result<u64> {
    Ok(durable::step_with("age", SystemTime::now(), |then| async move { Ok::<_, String>(then.elapsed().map_or(0, |age| age.as_secs())) }).await?)
}

fn main() {}
