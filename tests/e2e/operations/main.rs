//! Operated under load: reloads, half of them bad, upgrades and a drain, while sessions move data and new ones come.
//!
//! One host with three servers, the load balancer, and clients who write down whatever goes wrong. `tests/run e2e` asks
//! it of evenkeel; `tests/run --full e2e` does the same to HAProxy 3.2 in master-worker mode, and writes what came of both
//! into docs/operations.md.
//!
//! Reading order: [`course`], [`clients`], [`servers`], [`balancer`], [`watch`], [`report`].

#![expect(clippy::unwrap_used, reason = "where a run can't go on, the line says why")]

#[path = "../../harness/harness.rs"]
#[allow(dead_code, reason = "each test binary uses its own part of it")]
mod harness;

mod balancer;
mod clients;
mod course;
mod report;
mod servers;
mod watch;

use balancer::Kind;

/// "No connect is ever refused or reset": all that an operator does to a process that serves.
// Seen to fail with a drain that is not passed on to the processes that were replaced.
#[test]
fn nobody_notices_reloads_upgrades_and_a_drain() {
    let outcome = course::run(Kind::Evenkeel);
    let broken = outcome.broken();
    assert!(broken.is_empty(), "{}\n{outcome:#?}", broken.join("\n"));
}

mod full {
    use super::{Kind, course, report};

    /// HAProxy is asked for nothing but to come to the end.
    #[test]
    fn the_same_is_done_to_haproxy_and_written_down() {
        let outcomes = Kind::ALL.map(course::run);
        report::write(&outcomes);
        let broken = outcomes[0].broken();
        assert!(broken.is_empty(), "{}\n{:#?}", broken.join("\n"), outcomes[0]);
    }
}
