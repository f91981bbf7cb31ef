//! The reader: one task beside the drivers that loads journals and looks up closed runs, several at a time, so that neither the
//! driver nor the log waits for a read.

use std::fmt::Display;
use std::sync::Arc;

use futures::StreamExt;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::request::{Answered, Fit, Message, Refused, Reply, StartRequest};
use crate::kernel::engine::Answer;
use crate::kernel::event::Text;
use crate::kernel::id::RunNo;
use crate::seams::Spawn;
use crate::store::Store;

/// How many reads are under way at once.
const AT_ONCE: usize = 64;

/// Something to read.
pub(crate) enum Job {
    /// An open run's journal, for its replay.
    Load(RunNo),
    /// Whether a closed run has the id of a start.
    LookUp(Box<StartRequest>),
    /// The closed run of this id.
    Find { namespace: Text, id: Text, reply: Reply },
}

/// The reader is gone.
#[derive(Debug)]
pub(crate) struct Gone;

/// The reader's queue, for one driver.
#[derive(Clone)]
pub(crate) struct Reader {
    jobs: UnboundedSender<(Job, UnboundedSender<Message>)>,
    done: UnboundedSender<Message>,
}

impl Reader {
    /// Starts a reader, which ends when the last handle on its queue is gone. What is read goes to `done`.
    pub(crate) fn start(log: Arc<dyn Store>, spawn: &dyn Spawn, done: UnboundedSender<Message>) -> Reader {
        let (jobs, queue) = unbounded_channel();
        spawn.blocking("durable-reader", Box::pin(run(log, queue)));
        Reader { jobs, done }
    }

    /// The same reader, for another driver.
    pub(crate) fn to(&self, done: UnboundedSender<Message>) -> Reader {
        Reader { jobs: self.jobs.clone(), done }
    }

    /// Gives it something to read.
    ///
    /// # Errors
    /// It is gone: its thread could not be started, or it panicked. Whoever waits for the job hears nothing of it.
    pub(crate) fn submit(&self, job: Job) -> Result<(), Gone> {
        self.jobs.send((job, self.done.clone())).map_err(|_| Gone)
    }
}

async fn run(log: Arc<dyn Store>, queue: UnboundedReceiver<(Job, UnboundedSender<Message>)>) {
    let jobs = futures::stream::unfold(queue, |mut queue| async { queue.recv().await.map(|job| (job, queue)) });
    jobs.for_each_concurrent(AT_ONCE, |(job, done)| {
        let log = Arc::clone(&log);
        async move { read(log.as_ref(), job, &done).await }
    })
    .await;
}

async fn read(log: &dyn Store, job: Job, done: &UnboundedSender<Message>) {
    // Where the driver or the caller is gone, nobody wants to know.
    match job {
        Job::Load(run) => {
            let journal = log.load_recorded(run).await.map(Box::new).map_err(text);
            let _ = done.send(Message::Loaded { run, journal });
        }
        Job::LookUp(request) => {
            let found = log.find_closed(&request.namespace, &request.id).await.map_err(text);
            let _ = done.send(Message::LookedUp(request, found.map(|found| found.map(Box::new))));
        }
        Job::Find { namespace, id, reply } => {
            let answered = match log.find_closed(&namespace, &id).await {
                Ok(Some(closed)) => Answered::Closed(Box::new(closed), Fit::Same),
                Ok(None) => Answered::By(Answer::NotOpen),
                Err(error) => Answered::Refused(Refused::Store(text(error))),
            };
            let _ = reply.send(answered);
        }
    }
}

fn text(error: impl Display) -> Text {
    error.to_string().into()
}
