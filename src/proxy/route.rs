//! Which backend a session goes to: its frontend's.

use std::sync::Arc;

use super::inspect::Inspected;
use super::listener::Accepted;
use super::record::{Ended, Record};
use crate::net::reactor::Stream;
use crate::pool::Pool;

/// A session whose backend is known.
#[derive(Debug)]
pub struct Routed {
    pub client: Stream,
    pub record: Box<Record>,
    pub pool: Arc<Pool>,
}

pub fn route(Inspected(Accepted { client, mut record }): Inspected) -> Result<Routed, Ended> {
    let pool = Arc::clone(&record.frontend.pool);
    record.enter_backend(&pool);
    Ok(Routed { client, record, pool })
}
