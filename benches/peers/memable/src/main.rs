//! memable keeps its state in redb, and has one way to: a transaction for each step, committed with redb's default durability, which syncs.

use std::sync::Arc;
use std::time::Duration;

use memable::{Context, Engine, EngineError, WorkflowState};
use peers_workload::{About, Case, Fault, Peer, Work, count, locked, measure};

async fn steps(ctx: Context) -> Result<(), EngineError> {
    let mut sum = 0;
    for step in 0..Work::STEPS {
        sum += ctx.step(&step.to_string()).run(async move || Ok(count(step))).await?;
    }
    // A workflow returns nothing but the last of its states.
    ctx.set_status(sum);
    Ok(())
}

async fn timer(ctx: Context) -> Result<(), EngineError> {
    ctx.timer("nap", Work::NAP)?;
    ctx.set_status(0);
    Ok(())
}

#[derive(Clone)]
struct Memable(Arc<Engine>);

impl Peer for Memable {
    async fn run(&self, work: Work, _id: String) -> Result<u32, Fault> {
        // The engine chooses the id.
        let name = match work {
            Work::Steps => "steps",
            Work::Timer => "timer",
        };
        let run = self.0.invoke(name).await?;
        let id = run.instance_id().to_owned();
        let mut state = run.wait().await;
        while let WorkflowState::Suspended { .. } | WorkflowState::Started | WorkflowState::InProgress(_) = state {
            // A handle ends where its workflow suspends. The engine looks for timers that are due once a second.
            tokio::time::sleep(Duration::from_millis(5)).await;
            state = self.0.state(name, &id)?;
        }
        match state {
            WorkflowState::Completed(Some(sum)) => Ok(sum.parse()?),
            other => Err(format!("ended as {other}").into()),
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Fault> {
    let case = Case::from_args();
    let mut engine = Engine::builder().open(case.dir.join("memable.redb"))?.build();
    engine.register("steps", steps);
    engine.register("timer", timer);
    engine.start().await?;
    let about = About {
        peer: "memable",
        version: locked(include_str!("../Cargo.lock"), "memable"),
        durability: "redb, Durability::Immediate (its default)".into(),
    };
    let engine = Arc::new(engine);
    measure(&case, &about, Memable(engine.clone())).await?;
    engine.stop().await;
    Ok(())
}
