//! A server that has never been up: hardly one that failed, rather one that is wrong in the configuration.

use std::time::{Duration, SystemTime};

use crate::model::{BackendName, ServerName};

/// No probe of a server has passed since the process began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeverUp {
    pub backend: BackendName,
    pub server: ServerName,
    /// Where its sessions would go.
    pub address: String,
    pub at: SystemTime,
}

impl NeverUp {
    /// A server that is still starting, or whose machine is, is not wrong yet.
    pub const AFTER: Duration = Duration::from_secs(300);

    /// Told as text.
    pub fn text(&self) -> String {
        let Self { backend, server, address, .. } = self;
        format!("{backend}/{server} has never been up: is {address} its address, and is it a controller?")
    }
}
