//! Whether a client may come in: by its source and by rates. Everyone may until rules can be configured.

use super::listener::Accepted;
use super::record::Ended;

/// A client that may come in.
#[derive(Debug)]
pub struct Admitted(pub Accepted);

pub fn admit(accepted: Accepted) -> Result<Admitted, Ended> {
    Ok(Admitted(accepted))
}
