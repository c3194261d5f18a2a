//! What a client's first bytes say, where the configuration asks for it. Nothing does yet, so that the bytes stay in
//! the kernel until there is a server for them.

use super::admit::Admitted;
use super::listener::Accepted;
use super::record::Ended;

/// A client of which all is known that choosing its backend needs.
#[derive(Debug)]
pub struct Inspected(pub Accepted);

pub fn inspect(Admitted(accepted): Admitted) -> Result<Inspected, Ended> {
    Ok(Inspected(accepted))
}
