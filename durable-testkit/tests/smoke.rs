use durable::prelude::*;

#[activity]
async fn double(x: u32) -> Result<u32, String> {
    if x == 7 { return Err(format!("no {x}")); }
    Ok(x * 2)
}
#[activity]
async fn slow(x: u32) -> Result<u32, String> {
    tokio::time::sleep(Duration::from_millis(20)).await;
    Ok(x + 1)
}
#[workflow]
async fn sum(n: u32) -> Result<u32, String> {
    let mut total = 0;
    for i in 0..n { total += double(i).await.map_err(|e| e.to_string())?; }
    let (a, b) = join!(slow(1), slow(2));
    total += a.map_err(|e| e.to_string())? + b.map_err(|e| e.to_string())?;
    durable::sleep(Duration::from_millis(5)).await;
    let s = durable::step("three", || async { Ok::<_, String>(3u32) }).await.map_err(|e| e.to_string())?;
    let c = child(4).await.map_err(|e| e.to_string())?;
    let g = GO.recv().await;
    Ok(total + s + c + g)
}
#[workflow]
async fn child(x: u32) -> Result<u32, String> { double(x).await.map_err(|e| e.to_string()) }
const GO: durable::Signal<u32> = durable::Signal::new("go");

#[tokio::test]
async fn smoke() {
    for away in [false, true] {
    let dir = tempfile::tempdir().unwrap();
    let mut b = durable::runtime::Runtime::builder(dir.path()).register((sum, double, slow, child));
    if away { b = b.put_away_at_every_await(); }
    let rt = b.open().await.unwrap();
    let run = rt.start(sum(3)).id("a").await.unwrap();
    run.signal(GO, 100).await.unwrap();
    println!("{}", run.describe().await.unwrap());
    let r = tokio::time::timeout(Duration::from_secs(5), run.result()).await;
    println!("{:?} {}", r, run.describe().await.unwrap());
    assert_eq!(r.unwrap().unwrap(), 6 + 2 + 3 + 3 + 8 + 100);
    rt.shutdown().await.unwrap();
    }
}
