//! The live state of one backend.

pub mod health;
