//! A workflow run directly: on an engine of its own, in memory, for unit tests. Nothing is kept, and nothing has to be registered.

use std::sync::Arc;

use super::Runtime;
use super::builder::{ATTEMPTS, Opened, QUEUED_BYTES, Setting, Wires, World, assemble};
use super::definitions::Definitions;
use crate::activity::States;
use crate::error::RunError;
use crate::kernel::engine::{Residence, Stop};
use crate::kernel::tables::Tables;
use crate::payload::PayloadCodec;
use crate::registry::Registry;
use crate::store::plain::PlainStore;
use crate::workflow::Call;
use crate::workflow::definition::{RunDirect, Workflow, WorkflowKind};

impl<D: Workflow> RunDirect<D> for WorkflowKind
where
    D::Error: Send,
{
    type Returned = Result<D::Output, RunError<D::Error>>;

    async fn run_direct(call: Call<D>) -> Self::Returned {
        let (call, states) = call.into_direct_run();
        let runtime = engine(states);
        runtime.inner.definitions.meet(D::register);
        let run = runtime.start(call).await.unwrap_or_else(|error| panic!("the run was not started: {error}"));
        let ended = run.result_or_blocked().await;
        ended.unwrap_or_else(|blocked| panic!("the run is blocked: {blocked}"))
    }
}

/// An engine in memory that takes up whatever is called.
fn engine(states: States) -> Runtime {
    let world = World::real().unwrap_or_else(|error| panic!("{error}"));
    let wires = Wires::new(1);
    let store = Arc::new(PlainStore::new(wires.listener()));
    let opened = Opened { store, writer: None, tables: Tables::default(), stop: Stop::Clean };
    let setting = Setting {
        definitions: Arc::new(Definitions::and_as_met(Registry::default())),
        states,
        build: "run_direct".into(),
        codec: PayloadCodec::default(),
        attempts: ATTEMPTS,
        queued_bytes_max: QUEUED_BYTES,
        residence: Residence::default(),
    };
    assemble(opened, setting, world.seams, wires)
}
