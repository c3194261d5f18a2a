//! What `evenkeel demo` puts around evenkeel: controllers to balance over, and clients that use them.

pub mod load;
pub mod stand_in;
