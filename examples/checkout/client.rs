//! The shop's line to the world outside: one request for each attempt of an activity, with the attempt's idempotency key. It decides
//! nothing: whether a request is made again is the business of the activity's retry policy.

use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::header::CONTENT_TYPE;
use axum::http::{Request, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::hooks::Hooks;
use super::service::{KEY, ORDER};

const ANSWER_BYTES_MAX: usize = 64 << 10;

/// An answer that is on its way.
pub type Answering = Pin<Box<dyn Future<Output = anyhow::Result<(StatusCode, Bytes)>> + Send>>;

/// The world outside, as a state of the activities.
#[derive(Clone)]
pub struct Outside {
    send: Arc<dyn Fn(Request<Body>) -> Answering + Send + Sync>,
    hooks: Hooks,
}

impl fmt::Debug for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outside").field("hooks", &self.hooks).finish_non_exhaustive()
    }
}

/// Why there is no answer as it was hoped for.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The request is refused, and would be refused again.
    #[error("{1}")]
    Refused(StatusCode, String),
    /// It may succeed another time.
    #[error("{0}")]
    Failed(String),
}

impl Outside {
    /// The service at this address.
    pub fn at(address: SocketAddr, hooks: Hooks) -> Outside {
        let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
        let send = move |mut request: Request<Body>| -> Answering {
            let client = client.clone();
            Box::pin(async move {
                *request.uri_mut() = format!("http://{address}{}", request.uri().path()).parse::<Uri>()?;
                let (head, body) = client.request(request).await?.into_parts();
                Ok((head.status, to_bytes(Body::new(body), ANSWER_BYTES_MAX).await?))
            })
        };
        Outside::over(send, hooks)
    }

    /// Whatever answers.
    pub fn over(send: impl Fn(Request<Body>) -> Answering + Send + Sync + 'static, hooks: Hooks) -> Outside {
        Outside { send: Arc::new(send), hooks }
    }

    /// Asks, for the attempt that runs this, under its key.
    pub async fn ask<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, AskError> {
        let attempt = durable::activity::info();
        let body = serde_json::to_string(body).map_err(failed)?;
        let (order, activity, number) = (&attempt.workflow_id, &attempt.activity, attempt.attempt.0);
        self.hooks.may_tell().await;
        tracing::info!("{order}  {activity} {}, attempt {number}", if body == "{}" { path } else { &body });
        self.hooks.begins(&attempt).await;
        let mut waiting = Waiting { what: format!("{order}  {activity}"), is_answered: false };
        let request = Request::post(path).header(CONTENT_TYPE, "application/json");
        let request = request.header(ORDER, order.as_str()).header(KEY, attempt.idempotency_key());
        let answer = (self.send)(request.body(Body::from(body)).map_err(failed)?).await;
        waiting.is_answered = true;
        let (status, answer) = answer.map_err(failed)?;
        if !status.is_success() {
            return Err(refused(status, &answer));
        }
        self.hooks.done(&attempt);
        serde_json::from_slice(&answer).map_err(failed)
    }
}

fn failed(error: impl fmt::Display) -> AskError {
    AskError::Failed(error.to_string())
}

fn refused(status: StatusCode, answer: &[u8]) -> AskError {
    let text = String::from_utf8_lossy(answer).into_owned();
    if status.is_client_error() {
        AskError::Refused(status, text)
    } else {
        AskError::Failed(format!("{status}: {text}"))
    }
}

/// Says so when an attempt is dropped while it waits for its answer: its time is up, or its process shuts down.
struct Waiting {
    what: String,
    is_answered: bool,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.is_answered {
            tracing::warn!("{}: no answer in time; whether it was done is not known", self.what);
        }
    }
}
