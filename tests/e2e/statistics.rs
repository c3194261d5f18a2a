//! What HAProxy 3.2 itself says of the scene: the files that `tests/it` holds evenkeel against are made here.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::harness::haproxy::{ROOT, haproxy};
use crate::harness::http;
use crate::harness::program::Program;
use crate::harness::statistics::{GOLDEN, Scene};

mod full {
    use super::*;

    /// Writes them anew: `cargo test --test e2e -- --ignored --exact statistics::full::haproxys_statistics_are_written_down`.
    #[test]
    #[ignore = "needs root and HAProxy 3.2: tests/run --full unpacks it"]
    fn haproxys_statistics_are_written_down() {
        let scene = Scene::set();
        let directory = tempfile::tempdir_in(Path::new(ROOT).join("tmp")).unwrap();
        fs::write(directory.path().join("haproxy.cfg"), scene.config()).unwrap();
        let seen = Path::new("/").join(directory.path().strip_prefix(ROOT).unwrap()).join("haproxy.cfg");
        let _haproxy = Program::start(haproxy(&Command::new("chroot")).arg("-db").arg("-f").arg(seen));
        scene.settle();
        let _held = scene.play();
        fs::create_dir_all(GOLDEN).unwrap();
        let golden = |name: &str, text: &str| fs::write(Path::new(GOLDEN).join(name), text).unwrap();
        golden("statistics.csv", &without_modules(&scene.csv()));
        let get = |address, path: &str| http::get(address, path).unwrap().body;
        let typed = get(scene.stats, "/;typed");
        let own = typed
            .lines()
            .filter(|line| line.split('.').nth(3).is_some_and(|place| place.parse::<u32>().unwrap() < 113));
        golden("statistics.typed", &(own.collect::<Vec<_>>().join("\n") + "\n"));
        let metrics = get(scene.monitor, "/metrics");
        // The words of help are HAProxy's own; names, kinds and series are what is compared.
        let lines = metrics.lines().filter(|line| !line.starts_with("# HELP") && !line.contains("haproxy_resolver_"));
        golden("metrics.txt", &(lines.collect::<Vec<_>>().join("\n") + "\n"));
    }
}

/// Up to the mark behind which HAProxy's modules have columns.
fn without_modules(csv: &str) -> String {
    let header = csv.lines().next().unwrap();
    let own = header.split(',').position(|name| name == "-").expect("the mark") + 1;
    let cut = |line: &str| line.split(',').take(own).map(|value| format!("{value},")).collect::<String>() + "\n";
    csv.lines().filter(|line| !line.is_empty()).map(cut).collect()
}
