//! What `evenkeel check` says of files that work.

use std::fs;
use std::path::Path;

use evenkeel::config::{self, Choice, Examined, Input, Policy, Report, Severity};

const REFERENCE: &str = "tests/config/haproxy/reference.cfg";
const CLUSTER: &str = "tests/config/haproxy/cfctl.yaml";

fn examined(file: &str, cluster: Option<&str>, policy: Policy) -> Examined {
    let input = Input { choice: Choice { policy, lenient: false }, ..Input::from(Path::new(file)) };
    config::examine(&input, cluster.map(Path::new)).unwrap_or_else(|report| panic!("{}", report.render(false)))
}

fn ids(report: &Report) -> Vec<&'static str> {
    report.entries().iter().filter(|entry| entry.is_finding).map(|entry| entry.kind).collect()
}

/// The whole of what is said of the file that evenkeel replaces.
#[test]
fn the_reference_file_is_told_all_that_is_wrong_with_it() {
    let Examined { report, cluster, .. } = examined(REFERENCE, Some(CLUSTER), Policy::Haproxy);
    assert!(report.entries().iter().all(|entry| entry.severity != Severity::Error));
    assert!(report.findings() >= 14, "{}", report.findings());
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        insta::assert_snapshot!("findings-of-the-reference", report.render(false));
        insta::assert_snapshot!("findings-of-its-cluster", cluster.unwrap().report.render(false));
    });
}

#[test]
fn a_finding_is_about_the_file_whoever_reads_it() {
    let haproxy = examined(REFERENCE, None, Policy::Haproxy);
    let ours = examined(REFERENCE, None, Policy::Evenkeel);
    assert_ne!(ours.config, haproxy.config);
    assert_eq!(ids(&ours.report), ids(&haproxy.report));
}

#[test]
fn what_is_run_is_not_told_findings_but_their_number() {
    let loaded = config::open(Path::new(REFERENCE)).unwrap();
    assert_eq!(loaded.findings, examined(REFERENCE, None, Policy::Haproxy).report.findings());
    assert_eq!(loaded.warnings.findings(), 0);
}

/// The servers of a preset stand where its controllers do.
#[test]
fn a_toml_file_is_compared_with_its_cluster() {
    let Examined { report, cluster, .. } = examined("config/minimal.toml", Some(CLUSTER), Policy::Haproxy);
    assert_eq!(ids(&report), ["cluster-no-controller"]);
    let place = report.entries()[0].place.as_ref().unwrap();
    assert_eq!((place.line, place.column), (2, 42), "{report}");
    assert_eq!(ids(&cluster.unwrap().report), ["cluster-no-server"]);
}

// ---- docs/findings.md ----

#[test]
fn each_finding_has_its_section_with_a_fix() {
    let page = fs::read_to_string("docs/findings.md").unwrap();
    let sections: Vec<&str> = page.split("\n## ").skip(1).collect();
    let titles: Vec<&str> = sections.iter().map(|section| section.lines().next().unwrap()).collect();
    assert_eq!(titles, config::findings().collect::<Vec<_>>());
    for section in sections {
        assert!(section.contains("```haproxy\n") && section.contains("evenkeel"), "{section}");
    }
}
