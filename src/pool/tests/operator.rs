//! What an operator sets, and what is told with a change.

use super::*;
use crate::event::{Certificate, CertificateExpiry, Orders};

// Seen to fail with orders that are not noted.
#[tokio::test(start_paused = true)]
async fn what_an_operator_sets_holds_at_once_and_is_known_as_the_operators() {
    let pool = pool(&[PLAIN, PLAIN]);
    let server = pool.servers().remove(0);
    assert_eq!(pool.orders(&server), Some(Orders::default()));
    assert_eq!(pool.set_weight(&server, Weight::ZERO), Some(Weight::ONE));
    assert_eq!(pool.set_weight(&server, Weight::new(7).unwrap()), Some(Weight::ZERO));
    assert_eq!(pool.set_admin_state(&server, AdminState::Drain), Some(AdminState::Ready));
    // Set as the file has it, it is the operator's word all the same.
    assert_eq!(pool.set_admin_state(&server, AdminState::Ready), Some(AdminState::Drain));
    let orders = Orders { admin: Some(AdminState::Ready), weight: Weight::new(7) };
    assert_eq!(pool.orders(&server), Some(orders));
    let snapshot = pool.server_snapshot(&server).unwrap();
    assert_eq!((snapshot.weight.value(), snapshot.orders), (7, orders));
    assert_eq!(pool.orders(&pool.servers()[1]), Some(Orders::default()));
}

#[tokio::test(start_paused = true)]
async fn a_weight_of_zero_takes_a_server_out_of_the_choice() {
    let pool = pool(&[PLAIN, PLAIN]);
    let servers = pool.servers();
    pool.set_weight(&servers[0], Weight::ZERO);
    for _ in 0..4 {
        let Lease::Leased(leased) = pool.lease(SOURCE, &Tried::new()) else { panic!("one is free") };
        assert!(Arc::ptr_eq(&leased.server, &servers[1]));
    }
}

// Seen to fail with the evidence of an earlier probe in place of none, and with four probes.
#[tokio::test(start_paused = true)]
async fn a_change_is_told_with_its_last_three_probes_and_an_operators_with_none() {
    let pool = pool(&[PLAIN, PLAIN]);
    let server = pool.servers().remove(0);
    let probe = |state, detail: &str| {
        let mut verdict = verdict(state);
        verdict.evidence.detail = detail.into();
        pool.apply(&server, verdict);
    };
    probe(Readiness::Ready, "first");
    probe(Readiness::Ready, "second");
    told();
    for detail in ["third", "fourth", "fifth"] {
        probe(Readiness::Down(DownCause::Refused), detail);
    }
    let down = told().remove(0);
    let details: Vec<_> = down.recent.iter().map(|seen| seen.detail.as_str()).collect();
    assert_eq!(details, ["third", "fourth", "fifth"]);
    assert_eq!(down.evidence.unwrap().detail, "fifth");
    let other = pool.servers().remove(1);
    pool.apply(&other, verdict(Readiness::Ready));
    pool.set_admin_state(&other, AdminState::Drain);
    let drained = told().remove(0);
    assert_eq!((drained.evidence, drained.recent), (None, Vec::new()));
}

// Seen to fail with an expiry that is told with each probe.
#[tokio::test(start_paused = true)]
async fn a_certificate_that_ends_soon_is_told_of_once() {
    let told: Arc<Mutex<Vec<CertificateExpiry>>> = Arc::default();
    let telling = Arc::clone(&told);
    let observe = move |change: &Change| {
        if let Change::Certificate(expiry) = change {
            telling.lock().unwrap().push(expiry.clone());
        }
    };
    let pool = Pool::alone(backend(Balance::LeastConn, &[PLAIN]), Arc::new(observe));
    let server = pool.servers().remove(0);
    for _ in 0..3 {
        let mut verdict = verdict(Readiness::Ready);
        verdict.evidence.certificate = Some(Certificate {
            subject: "CN=x".into(),
            issuer: "CN=y".into(),
            not_after: clock::wall() + Duration::from_secs(5 * 24 * 60 * 60),
            authority_key_identifier: None,
        });
        // The same one each time.
        let end = told.lock().unwrap().first().map(|expiry| expiry.not_after);
        if let (Some(end), Some(certificate)) = (end, &mut verdict.evidence.certificate) {
            certificate.not_after = end;
        }
        pool.apply(&server, verdict);
    }
    let told = told.lock().unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].server.as_str(), told[0].subject.as_str()), ("s1", "CN=x"));
    assert_eq!(told[0].left.unwrap().as_secs() / 86_400, 4);
}
