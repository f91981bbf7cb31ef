//! Restate: its server, which the script starts with its own defaults, and a service of the Rust SDK in this process, called over HTTP/2.

use std::net::SocketAddr;

use peers_workload::{About, Case, Fault, Peer, Work, count, locked, measure};
use restate_sdk::ingress::Client;
use restate_sdk::prelude::*;
use tokio::net::TcpListener;

struct Workload;

#[service]
impl Workload {
    #[handler]
    async fn steps(&self, ctx: Context<'_>) -> HandlerResult<u32> {
        let mut sum = 0;
        for step in 0..Work::STEPS {
            sum += ctx.run(|| async move { Ok(count(step)) }).name("number").await?;
        }
        Ok(sum)
    }

    #[handler]
    async fn timer(&self, ctx: Context<'_>) -> HandlerResult<u32> {
        ctx.sleep(Work::NAP).await?;
        Ok(0)
    }
}

type Ingress = Client<reqwest::Client>;

#[derive(Clone)]
struct Restate(Ingress);

impl Peer for Restate {
    async fn run(&self, work: Work, _id: String) -> Result<u32, Fault> {
        // Without a key: the server chooses the id, which is the cheapest for it.
        let service = WorkloadIngressClient::from_client(self.0.clone());
        let response = match work {
            Work::Steps => service.steps().call().await?,
            Work::Timer => service.timer().call().await?,
        };
        Ok(response.into_body()?)
    }
}

/// Tells the server where this process answers.
async fn register(http: &reqwest::Client, admin: &str, service: SocketAddr) -> Result<(), Fault> {
    let body = format!("{{\"uri\":\"http://{service}\"}}");
    let request = http.post(format!("{admin}/deployments")).header("content-type", "application/json").body(body);
    let response = request.send().await?;
    match response.status().is_success() {
        true => Ok(()),
        false => Err(format!("the server did not take the service: {}", response.text().await?).into()),
    }
}

#[tokio::main]
async fn main() -> Result<(), Fault> {
    let case = Case::from_args();
    let urls = case.url.clone().ok_or("--url INGRESS,ADMIN")?;
    let (ingress, admin) = urls.split_once(',').ok_or("--url INGRESS,ADMIN")?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let service = listener.local_addr()?;
    tokio::spawn(HttpServer::new(Endpoint::builder().bind(Workload).build()).serve(listener));
    let http = reqwest::Client::builder().http2_prior_knowledge().build()?;
    register(&reqwest::Client::new(), admin, service).await?;
    let about = About {
        peer: "restate",
        version: locked(include_str!("../Cargo.lock"), "restate-sdk"),
        durability: "one node, RocksDB log synced (its default)".into(),
    };
    measure(&case, &about, Restate(Client::new(ingress.parse()?, http)?)).await?;
    Ok(())
}
