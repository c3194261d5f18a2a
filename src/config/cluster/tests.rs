use proptest::prelude::*;

use super::super::{resolved, translated};
use super::hosts::DEEPEST;
use super::*;
use crate::config::{Choice, Variables};

/// What the guide has beside its haproxy.cfg: one of three addresses is another one.
const GUIDE: &str = include_str!("../../../tests/config/haproxy/cfctl.yaml");
const REFERENCE: &str = include_str!("../../../tests/config/haproxy/reference.cfg");

fn cluster(text: &str) -> Cluster {
    Cluster::of(Source::in_memory(text, "k0sctl.yaml")).unwrap_or_else(|report| panic!("{}", report.render(false)))
}

/// What is said of the servers and what of the controllers, and how many servers are not compared.
fn compared(text: &str, cluster: &Cluster) -> (Vec<String>, Vec<String>, usize) {
    let source = Source::in_memory(text, "it");
    let understood = match text.contains("\nbackend ") {
        true => translated(source, Choice::default(), Variables::default()).unwrap(),
        false => resolved(source).unwrap(),
    };
    let (report, compared) = understood.compared(cluster).unwrap();
    let lines = |report: &Report| report.to_string().lines().map(str::to_owned).collect();
    (lines(&report), lines(&compared.report), compared.named)
}

/// A file of hosts, each a role and what else is said of it.
fn hosts(hosts: &[(&str, &str)]) -> String {
    let hosts = hosts.iter().map(|(role, address)| format!("  - role: {role}\n    {address}\n"));
    format!("spec:\n  hosts:\n{}", hosts.collect::<String>())
}

const TWO: &str = "preset = 'k0s'\ncontrollers = ['10.0.0.1', '10.0.0.2']\n";

#[test]
fn in_the_guides_own_files_one_of_three_differs() {
    let cluster = Cluster::of(Source::in_memory(GUIDE, "cfctl.yaml")).unwrap();
    let (servers, controllers, named) = compared(REFERENCE, &cluster);
    assert_eq!(
        servers,
        ["it:49:25: warning[cluster-no-controller]: server k0s-de-fra-1 is none of the cluster's controllers: \
          cfctl.yaml has no controller with the address 10.10.2.2 (also lines 55, 61)"]
    );
    assert_eq!(
        controllers,
        ["cfctl.yaml:53:23: warning[cluster-no-server]: no server stands for the controller 10.10.3.2"]
    );
    assert_eq!(named, 0);
    let right = REFERENCE.replace("10.10.2.2", "10.10.3.2");
    assert_eq!(compared(&right, &cluster), (vec![], vec![], 0));
}

#[test]
fn a_controller_is_known_by_any_of_its_addresses() {
    let yaml = hosts(&[
        ("controller", "ssh: { address: 203.0.113.1 }\n    privateAddress: 10.0.0.1"),
        ("controller+worker", "openSSH: { address: 10.0.0.2 }"),
        ("worker", "ssh: { address: 10.0.0.9 }"),
    ]);
    assert_eq!(compared(TWO, &cluster(&yaml)), (vec![], vec![], 0));
}

#[test]
fn a_worker_in_the_place_of_a_controller_is_told_with_the_one_that_is_meant() {
    let yaml = hosts(&[
        ("controller", "ssh: { address: 10.0.0.1 }"),
        ("worker", "ssh: { address: 10.0.0.2 }"),
        ("single", "privateAddress: 10.0.0.3"),
    ]);
    let source = Source::in_memory(TWO, "it");
    let (report, here) = resolved(source).unwrap().compared(&cluster(&yaml)).unwrap();
    let [entry] = report.entries() else { panic!("{report}") };
    assert!(entry.message.ends_with("10.0.0.2 is a worker in k0sctl.yaml"), "{entry:?}");
    assert_eq!(entry.hint.as_deref(), Some("is 10.0.0.3 meant, the controller that has no server?"));
    assert_eq!(here.report.entries().len(), 1);
}

#[test]
fn a_backend_that_lacks_a_controller_is_named() {
    let text = "frontend a\n bind :1\n default_backend one\nfrontend b\n bind :2\n default_backend two\n\
                backend one\n server s 10.0.0.1:1\n server t 10.0.0.2:1\nbackend two\n server s 10.0.0.1:2\n";
    let yaml = hosts(&[("controller", "privateAddress: 10.0.0.1"), ("controller", "privateAddress: 10.0.0.2")]);
    let (servers, controllers, _) = compared(text, &cluster(&yaml));
    assert_eq!(servers, Vec::<String>::new());
    assert!(controllers[0].ends_with("no server of two stands for the controller 10.0.0.2"), "{controllers:?}");
}

#[test]
fn what_leads_to_workers_alone_is_not_compared() {
    let text = "frontend a\n bind :1\n default_backend one\nfrontend b\n bind :2\n default_backend ingress\n\
                backend one\n server s 10.0.0.1:1\nbackend ingress\n server s 10.0.0.9:443\n";
    let yaml = hosts(&[("controller", "privateAddress: 10.0.0.1"), ("worker", "privateAddress: 10.0.0.9")]);
    assert_eq!(compared(text, &cluster(&yaml)), (vec![], vec![], 0));
}

#[test]
fn a_name_may_be_any_controller() {
    let yaml = hosts(&[("controller", "privateAddress: 10.0.0.1"), ("controller", "ssh: { address: cp-2.example }")]);
    let names = "preset = 'kubeadm'\ncontrollers = ['cp-1.example', 'cp-2.example']\n";
    assert_eq!(compared(names, &cluster(&yaml)), (vec![], vec![], 1));
}

#[test]
fn one_that_is_taken_out_is_no_controller_any_more() {
    let yaml = hosts(&[
        ("controller", "privateAddress: 10.0.0.1"),
        ("controller", "privateAddress: 10.0.0.2\n    reset: true"),
    ]);
    assert_eq!(compared(TWO, &cluster(&yaml)).0.len(), 1);
}

#[test]
fn aliases_stand_for_texts() {
    let yaml = "x: &role controller\ny: &address 10.0.0.2\nspec:\n  hosts:\n  - role: *role\n    privateAddress: 10.0.0.1\n  - { role: *role, privateAddress: *address }\n";
    assert_eq!(compared(TWO, &cluster(yaml)), (vec![], vec![], 0));
}

#[test]
fn what_is_no_file_of_hosts_is_refused_in_its_place() {
    let refused = |text: &str| Cluster::of(Source::in_memory(text, "x.yaml")).err().unwrap().to_string();
    assert_eq!(refused("a: b\n"), "x.yaml: error: no host in it is a controller");
    assert!(refused("ä: [\nspec: }").starts_with("x.yaml:2:"), "{}", refused("ä: [\nspec: }"));
    let deep = "[".repeat(DEEPEST + 1);
    assert!(refused(&deep).contains("nested deeper than 64 levels"), "{}", refused(&deep));
    assert!(refused(&hosts(&[("worker", "privateAddress: 10.0.0.1")])).contains("no host"));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(
        text in prop_oneof![
            "[ -~ä\r\n\t]{0,80}",
            "spec:\n  hosts:\n(  - (role: controller|[{&*]|ssh: \\{ address: ä)?[\\]}&*:, a-c\n]{0,9}\n){0,4}",
        ]
    ) {
        if let Err(report) = Cluster::of(Source::in_memory(&text, "x.yaml")) {
            let _ = report.render(false);
        }
    }
}
