//! Payloads: which shapes of serde survive a deploy, headers and limits, and the digests of values and shapes.

mod digests;
mod digests_plain;
mod headers;
mod limits;
mod shown;
mod survives;
