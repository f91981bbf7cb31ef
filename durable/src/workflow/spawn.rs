//! Branches of a run's own future: they run beside the body, in the same polls, and end with it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::channel::oneshot;
use futures::future::{AbortHandle, abortable};
use futures::stream::{FuturesUnordered, StreamExt};

use super::context::spawn_branch;

/// A branch of the run, from [`spawn`]. It can be awaited for the branch's value; dropped, it leaves the branch alone.
#[derive(Debug)]
pub struct JoinHandle<T> {
    value: oneshot::Receiver<T>,
    abort: AbortHandle,
}

/// Makes a future a branch of this run: it is polled beside the body from now on, awaited or not, and is dropped when the body
/// returns.
///
/// A branch is of the run, wherever it is made: a scope that is cut does not drop it, though a [`JoinSet`] in the scope does, and what is
/// registered in a branch, outside of scopes of its own, is undone with the body. Use `join!` for what belongs to a scope.
///
/// # Panics
/// Outside a workflow run. A panic in the branch blocks the run, like one in the body.
///
/// # Journal
/// Records nothing of itself; what the branch calls is recorded as everywhere.
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let (give, value) = oneshot::channel();
    let (branch, abort) = abortable(async move {
        // Nobody may be there to take it: the handle was dropped.
        let _ = give.send(future.await);
    });
    spawn_branch(Box::pin(async move {
        let _ = branch.await;
    }));
    JoinHandle { value, abort }
}

impl<T> JoinHandle<T> {
    /// Drops the branch, with everything that it waits for.
    pub fn abort(self) {
        self.abort.abort();
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match Pin::new(&mut self.value).poll(cx) {
            Poll::Ready(Ok(value)) => Poll::Ready(value),
            // The branch is gone without a value, and the run with it: nothing is left to wait for.
            Poll::Ready(Err(oneshot::Canceled)) | Poll::Pending => Poll::Pending,
        }
    }
}

/// A set of branches of one type, joined in the order in which they end. Dropped, it drops its branches.
#[derive(Debug)]
pub struct JoinSet<T> {
    branches: FuturesUnordered<JoinHandle<T>>,
}

impl<T> Default for JoinSet<T> {
    fn default() -> Self {
        JoinSet { branches: FuturesUnordered::new() }
    }
}

impl<T> JoinSet<T> {
    /// An empty set.
    #[must_use]
    pub fn new() -> JoinSet<T> {
        JoinSet::default()
    }

    /// How many branches have not been joined.
    #[must_use]
    pub fn len(&self) -> usize {
        self.branches.len()
    }

    /// Whether every branch has been joined.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.branches.is_empty()
    }

    /// The value of the next branch that ends; none when all have been joined.
    pub async fn join_next(&mut self) -> Option<T> {
        self.branches.next().await
    }

    /// Drops all branches.
    pub fn abort_all(&mut self) {
        for branch in std::mem::take(&mut self.branches) {
            branch.abort();
        }
    }
}

impl<T: Send + 'static> JoinSet<T> {
    /// Makes a future a branch of this run; see [`spawn`].
    ///
    /// # Panics
    /// Outside a workflow run.
    #[track_caller]
    pub fn spawn<F>(&mut self, future: F)
    where
        F: Future<Output = T> + Send + 'static,
    {
        self.branches.push(spawn(future));
    }
}

impl<T> Drop for JoinSet<T> {
    fn drop(&mut self) {
        self.abort_all();
    }
}
