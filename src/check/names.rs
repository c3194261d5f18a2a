//! Keeps the address of a host that is known by a name.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::net::resolve::resolve;
use crate::pool::server::Server;

/// Between two look-ups.
const REFRESH: Duration = Duration::from_secs(30);

/// Between two look-ups while no address is known.
const RETRY: Duration = Duration::from_secs(5);

/// How long one look-up may take.
const LIMIT: Duration = Duration::from_secs(5);

/// A name, and the servers whose address it gives.
#[derive(Debug)]
pub(super) struct Names {
    name: String,
    servers: Vec<Arc<Server>>,
    /// The last good answer, which stays in force when later look-ups fail.
    current: Option<IpAddr>,
    /// Told of once, until the name is found again.
    failing: bool,
}

impl Names {
    pub fn new(name: String) -> Self {
        Self { name, servers: Vec::new(), current: None, failing: false }
    }

    pub fn add(&mut self, server: Arc<Server>) {
        self.servers.push(server);
    }

    /// Looks the name up again and again.
    pub async fn keep_fresh(&mut self) {
        loop {
            sleep(if self.current.is_some() { REFRESH } else { RETRY }).await;
            self.refresh().await;
        }
    }

    /// One look-up, and what follows from it.
    pub async fn refresh(&mut self) {
        match resolve(&self.name, self.current, LIMIT).await {
            Ok(address) => {
                if self.failing || self.current != Some(address) {
                    tracing::info!(name = self.name, %address, "name resolved");
                }
                self.failing = false;
                self.current = Some(address);
                for server in &self.servers {
                    server.set_address(SocketAddr::new(address, server.endpoint.port));
                }
            }
            Err(error) => {
                if !self.failing {
                    tracing::warn!(%error, keeping = self.current.map(tracing::field::display), "name not resolved");
                }
                self.failing = true;
            }
        }
    }
}
